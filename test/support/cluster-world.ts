// A small world of services and pods, and what a client at a given place gets of it.
import { defaultMeshConfig } from '../../config/mesh.ts';
import { findResource, listResources, type ResourceJson } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import { connect, graphOf, jsonOf, testFacts } from './world.ts';

/** An object as YAML would have it. */
export type Raw = Parameters<typeof graphOf>[0][number];

/** An object by its kind, name and spec; `more` adds metadata and status. */
export const raw = (apiVersion: string, kind: string, name: string, spec: object, more: object = {}): Raw => {
  const { metadata = {}, ...rest } = more as { metadata?: object };
  return { apiVersion, kind, metadata: { name, namespace: 'default', ...metadata }, spec, ...rest } as Raw;
};
/** A Kubernetes Service in `default`. */
export const service = (name: string, spec: object, more: object = {}): Raw => raw('v1', 'Service', name, spec, more);
/** The DestinationRule `rule` in `default`. */
export const rule = (spec: object, more: object = {}): Raw =>
  raw('networking.istio.io/v1', 'DestinationRule', 'rule', spec, more);
/** A ServiceEntry in `default`. */
export const entry = (name: string, spec: object, more: object = {}): Raw =>
  raw('networking.istio.io/v1', 'ServiceEntry', name, spec, more);
/** A Node in a zone of a region, perhaps in a sub-zone. */
export const node = (name: string, region: string, zone: string, subzone = ''): Raw =>
  raw(
    'v1',
    'Node',
    name,
    {},
    {
      metadata: {
        namespace: '',
        labels: {
          'topology.kubernetes.io/region': region,
          'topology.kubernetes.io/zone': zone,
          ...(subzone === '' ? {} : { 'topology.istio.io/subzone': subzone }),
        },
      },
    },
  );
/** A pod of `web` on a node. */
export const pod = (name: string, ip: string, on: string, labels: object = {}, ready = true): Raw =>
  raw(
    'v1',
    'Pod',
    name,
    { nodeName: on, serviceAccountName: 'web', containers: [] },
    {
      metadata: { labels: { app: 'web', 'security.istio.io/tlsMode': 'istio', ...labels } },
      status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
    },
  );

/** A service of the pods with label app=web. */
export const web = service('web', {
  clusterIP: '10.96.0.1',
  selector: { app: 'web' },
  ports: [{ name: 'http', port: 80, targetPort: 8080 }],
});
/** Nodes in r1/a, r1/b and r2/c, and a ready pod on each. */
export const nodes = [node('n1', 'r1', 'a'), node('n2', 'r1', 'b'), node('n3', 'r2', 'c')];
export const pods = [pod('w1', '10.1.0.1', 'n1'), pod('w2', '10.1.0.2', 'n2'), pod('w3', '10.1.0.3', 'n3')];
/** The cluster of `web`. */
export const webCluster = 'outbound|80||web.default.svc.cluster.local';

/** A sidecar of istio-proxy in namespace `default`, region r1, zone a, node n1. */
export const base: Proxy = {
  nodeId: 'sidecar~10.9.0.9~client.default~default.svc.cluster.local',
  flavour: 'sidecar',
  ipAddresses: ['10.9.0.9'],
  workload: { name: 'client', namespace: 'default' },
  namespace: 'default',
  dnsDomain: 'default.svc.cluster.local',
  labels: {},
  serviceAccount: 'client',
  cluster: 'Kubernetes',
  network: '',
  nodeName: 'n1',
  locality: { region: 'r1', zone: 'a', subzone: '' },
  interception: 'REDIRECT',
  capabilities: { istioFilters: true, agentSds: true, internalListeners: true } as Proxy['capabilities'],
  settings: {},
};

/** A client with its world. */
export interface View {
  readonly graph: Graph;
  readonly client: ProxyClass;
  readonly clusters: ReadonlyMap<string, ResourceJson>;
}

/** Connects a client like `base` to a world of these objects; `features` are istiod's switches. */
export function view(
  objects: readonly Raw[],
  proxy: Partial<Proxy> = {},
  mesh: object = {},
  features: Readonly<Record<string, string>> = {},
): View {
  const graph = graphOf(objects, { ...defaultMeshConfig, ...mesh }, { ...testFacts, features });
  const client = connect(graph, { ...base, ...proxy });
  const clusters = listResources(graph, client, 'cluster').map(jsonOf);
  return { graph, client, clusters: new Map(clusters.map((cluster) => [String(cluster['name']), cluster])) };
}

/** The assignment of a cluster. */
export function endpoints({ graph, client }: View, name = webCluster): ResourceJson | undefined {
  const found = findResource(graph, client, 'endpoint', name);
  return found === undefined ? undefined : jsonOf(found);
}

/** Addresses by priority, and the weights of localities. */
export function spread(seen: View, name = webCluster): unknown {
  const groups = (endpoints(seen, name)?.['endpoints'] ?? []) as {
    readonly priority?: number;
    readonly loadBalancingWeight?: number;
    readonly lbEndpoints?: readonly { endpoint: { address: { socketAddress: { address: string } } } }[];
  }[];
  return groups.map(({ priority = 0, loadBalancingWeight, lbEndpoints = [] }) => [
    priority,
    loadBalancingWeight,
    ...lbEndpoints.map((item) => item.endpoint.address.socketAddress.address),
  ]);
}
