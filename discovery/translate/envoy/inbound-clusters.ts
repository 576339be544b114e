// Clusters of a sidecar's own application: one for each port that its services or its Sidecar's ingress name.
import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { formatHostPort, type HostPort, parseHostPort } from '../../../config/host-port.ts';
import type { ConnectionPoolSettings } from '../../../config/kinds/common.ts';
import type { SidecarIngress } from '../../../config/kinds/sidecar.ts';
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../../protos/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Read } from '../../graph/graph.ts';
import { dualStack } from '../../model/client-addresses.ts';
import { appliedRule } from '../../model/destination-rules.ts';
import { mesh } from '../../model/objects.ts';
import { parseProtocol } from '../../model/protocol.ts';
import type { Protocol, Service } from '../../model/service.ts';
import { portOf } from '../../model/service-endpoints.ts';
import type { ServiceTarget } from '../../model/service-target.ts';
import { services } from '../../model/services.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import { mergedRule, trafficPolicyOf } from '../../model/traffic-policy.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { inboundCluster } from '../names.ts';
import { resourceQuery } from '../translator.ts';
import { applyPool, upstreamHttp } from './cluster-options.ts';
import { serviceMetadata, statName } from './cluster-parts.ts';
import { metadataOf } from './metadata.ts';
import { loopbackBind } from './static-clusters.ts';
import { seconds, wireDuration } from './wire.ts';

/** What an inbound cluster depends on. */
export interface InboundClusterKey {
  /** The workload's own port, or that of the Sidecar's ingress listener. */
  readonly port: number;
  /** Targets at the port, the first being decisive. */
  readonly targets: readonly ServiceTarget[];
  /** Where requests are sent instead of their original address: `host:port` or `unix://path`. */
  readonly endpoint: string;
  /** Protocol by the ingress listener; absent where the service's port says it. */
  readonly protocol?: Protocol;
  /** Namespace and Sidecar of the proxy, for connection pools. */
  readonly namespace: string;
  readonly scope: string;
  readonly ipFamily: ProxyClass['ipFamily'];
}

/** The client as inbound clusters need it. */
export type InboundClient = Pick<
  ProxyClass,
  'namespace' | 'scope' | 'targets' | 'interception' | 'ipFamily' | 'addresses'
>;

/** An inbound cluster. */
export const inboundClusterResource = resourceQuery<InboundClusterKey>(
  'inbound-cluster',
  (key) => JSON.stringify(key, Object.keys(sample).sort()),
  (read, key) => {
    const cluster = build(read, key);
    return encodeResource(typeUrls.cluster, cluster.name, toBinary(ClusterSchema, cluster));
  },
);

/** Property names that occur in a key, so that its text does not depend on their order. */
const sample: Readonly<Record<keyof InboundClusterKey | keyof ServiceTarget, true>> = {
  port: true,
  targets: true,
  endpoint: true,
  protocol: true,
  namespace: true,
  scope: true,
  ipFamily: true,
  service: true,
  targetPort: true,
};

/** Inbound clusters of a client, by name. */
export function inboundEntries(read: Read, client: InboundClient): ReadonlyMap<string, InboundClusterKey> {
  const { namespace, scope, ipFamily } = client;
  const place = { namespace, scope, ipFamily };
  const { ingress } = read(sidecarScope, { namespace, scope });
  const keys = ingress.length > 0 ? ingressKeys(client, ingress, place) : targetKeys(read, client, place);
  return new Map(keys.map((key) => [inboundCluster(key.port), key]));
}

type Place = Pick<InboundClusterKey, 'namespace' | 'scope' | 'ipFamily'>;

/** Without capture a sidecar would listen on its application's own ports; only a Sidecar can say how to avoid that. */
function targetKeys(read: Read, client: InboundClient, place: Place): readonly InboundClusterKey[] {
  if (client.interception === 'NONE') return [];
  const local = read(mesh, 'mesh').inboundTrafficPolicy?.mode === 'LOCALHOST';
  const ports = [...new Set(client.targets.map((target) => target.targetPort))].sort((a, b) => a - b);
  return ports.map((port) => ({
    port,
    targets: client.targets.filter((target) => target.targetPort === port),
    endpoint: local ? `${client.ipFamily === 'v6' ? '[::1]' : '127.0.0.1'}:${port}` : '',
    ...place,
  }));
}

function ingressKeys(
  client: InboundClient,
  ingress: readonly SidecarIngress[],
  place: Place,
): readonly InboundClusterKey[] {
  return ingress.flatMap((listener) => {
    const port = listener?.port?.number;
    if (port === undefined) return [];
    return [
      {
        port,
        targets: client.targets.filter((target) => target.targetPort === port),
        endpoint: endpointOf(listener.defaultEndpoint ?? '', client),
        protocol: parseProtocol(listener.port?.protocol ?? ''),
        ...place,
      },
    ];
  });
}

/** `0.0.0.0:port` and `[::]:port` stand for the proxy's own address, `127.0.0.1` for the loopback of its family. */
function endpointOf(written: string, client: InboundClient): string {
  if (written === '' || written.startsWith('unix://')) return written;
  const { host, port } = partsOf(written);
  if (host === '0.0.0.0' || host === '::') {
    const own = client.addresses.find((address) => address.includes(':') === (host === '::')) ?? client.addresses[0];
    return own === undefined ? '' : formatHostPort({ host: own, port });
  }
  return formatHostPort({ host: client.ipFamily === 'v6' ? '::1' : '127.0.0.1', port });
}

/** The parts of what a Sidecar says; the rules have told of one that has none, and nothing listens at port 0. */
function partsOf(text: string): HostPort {
  return parseHostPort(text) ?? { host: '', port: 0 };
}

function build(read: Read, key: InboundClusterKey): Cluster {
  const config = read(mesh, 'mesh');
  const [target] = key.targets;
  const service = target === undefined ? undefined : read(services, target.service);
  const port = service === undefined || target === undefined ? undefined : portOf(service, target.port);
  const name = inboundCluster(key.port);
  const stat = { number: target?.port ?? 0, name: port?.name ?? '', target: key.port, subset: '' };
  const cluster = create(ClusterSchema, {
    name,
    altStatName: statName(config.inboundClusterStatName, name, service, stat),
    connectTimeout: wireDuration(config.connectTimeout) ?? seconds(10),
    commonLbConfig: create(Cluster_CommonLbConfigSchema),
  });
  applyDestination(read, cluster, key);
  const pool = poolOf(read, key, service);
  applyPool(cluster, {
    pool: pool.settings,
    retryBudget: undefined,
    mesh: config,
    http: upstreamHttp(port?.protocol ?? key.protocol ?? 'auto', true),
    autoSni: false,
    autoSanValidation: false,
  });
  const metadata = metadataFields(read, key, pool.path);
  if (Object.keys(metadata).length > 0) cluster.metadata = metadataOf('istio', metadata);
  return cluster;
}

/** Envoy forgets destinations without traffic after a while; the application is there for good: about 292 years. */
const never = 9_223_372_035;

function applyDestination(read: Read, cluster: Cluster, key: InboundClusterKey): void {
  const families = key.ipFamily === 'dual' && !read(dualStack, 'facts') ? 'v4' : key.ipFamily;
  if (key.endpoint === '') {
    cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    cluster.cleanupInterval = seconds(never);
    cluster.upstreamBindConfig = loopbackBind(families);
    return;
  }
  if (!/^(127\.0\.0\.1|\[::1\]):/.test(key.endpoint)) {
    cluster.upstreamBindConfig = loopbackBind(families);
  }
  cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.STATIC };
  cluster.loadAssignment = create(ClusterLoadAssignmentSchema, {
    clusterName: cluster.name,
    endpoints: [
      { lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: addressOf(key.endpoint) } } }] },
    ],
  });
}

function addressOf(endpoint: string) {
  if (endpoint.startsWith('unix://')) {
    return { address: { case: 'pipe' as const, value: { path: endpoint.slice('unix://'.length) } } };
  }
  const { host, port } = partsOf(endpoint);
  const portSpecifier = { case: 'portValue' as const, value: port };
  return { address: { case: 'socketAddress' as const, value: { address: host, portSpecifier } } };
}

interface InboundPool {
  readonly settings: ConnectionPoolSettings | undefined;
  /** The DestinationRule that the settings come from. */
  readonly path: string | undefined;
}

/** Limits of the server's side: the Sidecar's for the port or for all, else those that the service's rule sets for its clients. */
function poolOf(read: Read, key: InboundClusterKey, service: Service | undefined): InboundPool {
  const scope = read(sidecarScope, { namespace: key.namespace, scope: key.scope });
  const listener = scope.ingress.find((candidate) => candidate.port?.number === key.port);
  const own = listener?.connectionPool ?? scope.inboundConnectionPool;
  if (own !== undefined) return { settings: own, path: undefined };
  if (service === undefined) return { settings: undefined, path: undefined };
  const { hostname, namespace: serviceNamespace } = service;
  const rule = appliedRule(read, { namespace: key.namespace, hostname, serviceNamespace }, {}, 'inbound');
  const merged = rule === '' ? undefined : read(mergedRule, rule);
  if (merged?.trafficPolicy === undefined) return { settings: undefined, path: undefined };
  const policy = trafficPolicyOf(read, { rule, port: key.targets[0]?.port ?? 0, subset: '' });
  return { settings: policy.connectionPool, path: merged.path };
}

function metadataFields(read: Read, key: InboundClusterKey, path: string | undefined): JsonObject {
  const named = [...new Set(key.targets.map((target) => target.service))].flatMap((service) => {
    const found = read(services, service);
    return found === undefined ? [] : [serviceMetadata(found)];
  });
  return { ...(path === undefined ? {} : { config: path }), ...(named.length === 0 ? {} : { services: named }) };
}
