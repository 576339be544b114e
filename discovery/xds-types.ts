// The xDS resource types Meltemi serves, and the order in which a change is sent (contract 1.9).

/** Resource types by short name. */
export const typeUrls = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  nameTable: 'type.googleapis.com/istio.networking.nds.v1.NameTable',
} as const;

/** Short name of a resource type. */
export type ResourceType = keyof typeof typeUrls;

/** Every type in push order: additions travel in this order, so that a reference never precedes its target. */
export const pushOrder = [
  'cluster',
  'endpoint',
  'listener',
  'route',
  'secret',
  'nameTable',
] as const satisfies readonly ResourceType[];

const byUrl: ReadonlyMap<string, ResourceType> = new Map(pushOrder.map((type) => [typeUrls[type], type]));

/** The type of a type URL, or undefined where Meltemi does not serve it. */
export function typeOfUrl(url: string): ResourceType | undefined {
  return byUrl.get(url);
}
