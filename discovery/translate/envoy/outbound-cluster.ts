// The cluster of a service's port or subset, as clients have it.
import { create, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../../config/mesh.ts';
import {
  type Cluster,
  Cluster_CommonLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_EdsClusterConfigSchema,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../../protos/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ClusterConfigSchema } from '../../../protos/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import type { Read } from '../../graph/graph.ts';
import { facts, mesh } from '../../model/objects.ts';
import type { Resolution, Service, ServicePort } from '../../model/service.ts';
import { portOf } from '../../model/service-endpoints.ts';
import { services } from '../../model/services.ts';
import { type MergedRule, mergedRule, type TrafficPolicy, trafficPolicyOf } from '../../model/traffic-policy.ts';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { outboundCluster, sniOf } from '../names.ts';
import { resourceQuery } from '../translator.ts';
import { applyBalancer, applyLocalityWeights, applyOutlierDetection } from './cluster-balancing.ts';
import type { ClusterKey } from './cluster-key.ts';
import { applyPool, upgradedHttp, upstreamHttp } from './cluster-options.ts';
import { applyDns, lookupFamily, metadataExchangeFilter, serviceMetadata, statName } from './cluster-parts.ts';
import { applyTls, type ClusterTls, tlsOf } from './cluster-tls.ts';
import { endpointPolicy } from './endpoint-view.ts';
import { inlineAssignment } from './load-assignment.ts';
import { metadataOf } from './metadata.ts';
import { adsSource } from './sds.ts';
import { packed, seconds, wireDuration } from './wire.ts';

/** An outbound cluster; undefined once its service or port is gone. */
export const outboundClusterResource = resourceQuery<ClusterKey>('outbound-cluster', idOfKey, (read, key) => {
  const cluster = buildOutboundCluster(read, key);
  return cluster === undefined
    ? undefined
    : encodeResource(typeUrls.cluster, cluster.name, toBinary(ClusterSchema, cluster));
});

function idOfKey(key: ClusterKey): string {
  return key.id;
}

/** Name of a key's cluster. */
export function clusterNameOf(key: Pick<ClusterKey, 'port' | 'subset' | 'sniRouted'>, hostname: string): string {
  return key.sniRouted ? sniOf(key.port, key.subset, hostname) : outboundCluster(key.port, key.subset, hostname);
}

/** How Envoy finds a cluster's endpoints. Gateways have no original destination and get endpoints instead. */
export function discoveryOf(
  resolution: Resolution,
  sidecar: boolean,
): 'eds' | 'original' | 'dns' | 'forward' | undefined {
  switch (resolution) {
    case 'endpoints':
      return 'eds';
    case 'passthrough':
      return sidecar ? 'original' : 'eds';
    case 'dns':
    case 'dns-round-robin':
      return 'dns';
    case 'dynamic-dns':
      return 'forward';
    default:
      return undefined;
  }
}

/** Everything that building needs, resolved. */
interface Building {
  readonly key: ClusterKey;
  readonly service: Service;
  readonly port: ServicePort;
  readonly policy: TrafficPolicy;
  readonly rule: MergedRule | undefined;
  readonly config: MeshConfig;
  readonly features: Readonly<Record<string, string>>;
}

/** The message of a cluster. */
export function buildOutboundCluster(read: Read, key: ClusterKey): Cluster | undefined {
  const service = read(services, key.service);
  const port = service === undefined ? undefined : portOf(service, key.port);
  if (service === undefined || port === undefined) return undefined;
  const building: Building = {
    key,
    service,
    port,
    policy: trafficPolicyOf(read, key),
    rule: key.rule === '' ? undefined : read(mergedRule, key.rule),
    config: read(mesh, 'mesh'),
    features: read(facts, 'facts').features,
  };
  return discoveryOf(service.resolution, key.profile.sidecar) === 'forward'
    ? forwardProxyCluster(read, building)
    : serviceCluster(read, building);
}

function serviceCluster(read: Read, building: Building): Cluster | undefined {
  const { key, service, policy } = building;
  const cluster = baseCluster(building);
  cluster.commonLbConfig = create(Cluster_CommonLbConfigSchema);
  if (!applyDiscovery(read, cluster, building)) return undefined;
  const tls = key.sniRouted ? noTls : tlsOf(read, { ...building, mesh: building.config });
  applyOutlierDetection(cluster, policy.outlierDetection);
  applyPoolOf(cluster, building, tls);
  applyBalancer(cluster, policy.loadBalancer);
  const { locality } = read(endpointPolicy, key);
  const own = locality === building.config.localityLbSetting && !distributes(locality) ? undefined : locality;
  applyLocalityWeights(cluster, own);
  applyTls(cluster, tls, policy.proxyProtocol);
  finishDiscovery(cluster);
  cluster.metadata = metadataOf('istio', metadataFields(building, tls, [serviceMetadata(service)]));
  return cluster;
}

function distributes(setting: MeshConfig['localityLbSetting']): boolean {
  const { distribute = [], failover = [], failoverPriority = [] } = setting ?? {};
  return distribute.length + failover.length + failoverPriority.length > 0;
}

/** A wildcard host whose real one is taken from each request and looked up. */
function forwardProxyCluster(read: Read, building: Building): Cluster {
  const { key, service } = building;
  const cluster = baseCluster(building);
  const tls = tlsOf(read, { ...building, mesh: building.config });
  applyPoolOf(cluster, building, tls);
  cluster.clusterDiscoveryType = {
    case: 'clusterType',
    value: {
      $typeName: 'envoy.config.cluster.v3.Cluster.CustomClusterType',
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: packed(ClusterConfigSchema, {
        // Envoy refuses HTTP options without automatic server names, even where there is no TLS to speak of.
        allowInsecureClusterOptions: hasHttpOptions(cluster) && !(tls.autoSni && tls.autoSanValidation),
        clusterImplementationSpecifier: {
          case: 'dnsCacheConfig',
          value: { name: dnsCacheName(service.hostname), dnsLookupFamily: lookupFamily(key.profile.ipFamily) },
        },
      }),
    },
  };
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  applyTls(cluster, tls, building.policy.proxyProtocol);
  cluster.metadata = metadataOf('istio', metadataFields(building, tls, []));
  return cluster;
}

function hasHttpOptions(cluster: Cluster): boolean {
  return Object.keys(cluster.typedExtensionProtocolOptions).length > 0;
}

/** Name of the DNS cache that a wildcard host's cluster shares with its filter. */
export function dnsCacheName(hostname: string): string {
  return `${hostname}_dfp_dns_cache`;
}

const noTls: ClusterTls = { kind: 'none', autoSni: false, autoSanValidation: false };

function baseCluster({ key, service, port, config }: Building): Cluster {
  const name = clusterNameOf(key, service.hostname);
  const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
  const pattern = config.outboundClusterStatName;
  const stat = { number: port.number, name: port.name, target, subset: key.subset };
  return create(ClusterSchema, {
    name,
    altStatName: statName(pattern, name, service, stat),
    connectTimeout: wireDuration(config.connectTimeout) ?? seconds(10),
    filters: key.profile.istioFilters ? [metadataExchangeFilter()] : [],
  });
}

/** Sets the type; false where a cluster that carries its endpoints has none, which Envoy would refuse. */
function applyDiscovery(read: Read, cluster: Cluster, building: Building): boolean {
  const { key, service, config, features } = building;
  const type = (value: Cluster_DiscoveryType): void => {
    cluster.clusterDiscoveryType = { case: 'type', value };
  };
  switch (discoveryOf(service.resolution, key.profile.sidecar)) {
    case 'original':
      type(Cluster_DiscoveryType.ORIGINAL_DST);
      return true;
    case 'dns': {
      const roundRobin = service.resolution === 'dns-round-robin';
      type(roundRobin ? Cluster_DiscoveryType.LOGICAL_DNS : Cluster_DiscoveryType.STRICT_DNS);
      applyDns(cluster, config, key.profile.ipFamily, features);
      const { service: of, port, subset, rule, view = {} } = key;
      const parts = { name: cluster.name, service: of, port, subset, rule, view };
      const bytes = inlineAssignment(read, { ...parts, single: roundRobin });
      const assignment = fromBinary(ClusterLoadAssignmentSchema, bytes);
      cluster.loadAssignment = assignment;
      return assignment.endpoints.some(({ lbEndpoints }) => lbEndpoints.length > 0);
    }
    default:
      type(Cluster_DiscoveryType.EDS);
      return true;
  }
}

/** Endpoints come over ADS, unless the balancer turned the cluster into another type. */
function finishDiscovery(cluster: Cluster): void {
  const { clusterDiscoveryType: type } = cluster;
  if (type.case !== 'type' || type.value !== Cluster_DiscoveryType.EDS) return;
  const edsConfig = adsSource();
  edsConfig.initialFetchTimeout = seconds(0);
  cluster.edsClusterConfig = create(Cluster_EdsClusterConfigSchema, { edsConfig, serviceName: cluster.name });
}

function applyPoolOf(cluster: Cluster, { key, port, policy, config }: Building, tls: ClusterTls): void {
  const base = upstreamHttp(port.protocol, key.profile.sidecar);
  applyPool(cluster, {
    pool: policy.connectionPool,
    retryBudget: policy.retryBudget,
    mesh: config,
    http: upgradedHttp(base, port.protocol, policy.connectionPool, config),
    autoSni: tls.autoSni,
    autoSanValidation: tls.autoSanValidation,
  });
}

function metadataFields({ key, service, rule }: Building, tls: ClusterTls, named: JsonObject[]): JsonObject {
  return {
    ...(tls.kind === 'user' ? { alpn_override: 'false' } : {}),
    ...(rule === undefined ? {} : { config: rule.path }),
    ...(service.meshExternal ? { external: true } : {}),
    ...(named.length === 0 ? {} : { services: named }),
    ...(key.subset === '' ? {} : { subset: key.subset }),
  };
}
