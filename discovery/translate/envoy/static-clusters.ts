// Clusters that every proxy has: where traffic without a destination goes.
import { create, toBinary } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../../config/mesh.ts';
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { BindConfigSchema } from '../../../protos/gen/envoy/config/core/v3/address_pb.js';
import { ClusterConfigSchema } from '../../../protos/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import { mesh } from '../../model/objects.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { blackHoleCluster, dynamicDnsCluster, inboundPassthroughCluster, passthroughCluster } from '../names.ts';
import { resourceQuery } from '../translator.ts';
import { circuitBreakers, downstreamOptions, setHttpOptions } from './cluster-options.ts';
import { lookupFamily, metadataExchangeFilter } from './cluster-parts.ts';
import { packed, seconds, wireDuration } from './wire.ts';

/** Which of the fixed clusters, and what of the proxy it depends on. */
export interface StaticClusterKey {
  readonly name: string;
  readonly istioFilters: boolean;
  readonly ipFamily: ProxyClass['ipFamily'];
}

/** Idle connections to unknown destinations are closed after this time. */
const idleTimeout = '300s';
const dynamicHosts = 1024;

/** A fixed cluster by its name. */
export const staticCluster = resourceQuery<StaticClusterKey>(
  'static-cluster',
  ({ name, istioFilters, ipFamily }) => `${name}|${istioFilters}|${ipFamily}`,
  (read, key) => {
    const cluster = build(key, read(mesh, 'mesh'));
    return encodeResource(typeUrls.cluster, key.name, toBinary(ClusterSchema, cluster));
  },
);

function build(key: StaticClusterKey, config: MeshConfig): Cluster {
  switch (key.name) {
    case blackHoleCluster:
      return create(ClusterSchema, {
        ...base(blackHoleCluster, config),
        clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
      });
    case inboundPassthroughCluster:
      return inboundPassthrough(key, config);
    case dynamicDnsCluster:
      return dynamicDns(key, config);
    default:
      return outboundPassthrough(key, config);
  }
}

function base(name: string, config: MeshConfig) {
  return { name, altStatName: `${name};`, connectTimeout: wireDuration(config.connectTimeout) ?? seconds(10) };
}

function originalDestination(name: string, config: MeshConfig): Cluster {
  const cluster = create(ClusterSchema, {
    ...base(name, config),
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    circuitBreakers: circuitBreakers(),
  });
  setHttpOptions(cluster, downstreamOptions(idleTimeout));
  return cluster;
}

function outboundPassthrough(key: StaticClusterKey, config: MeshConfig): Cluster {
  const cluster = originalDestination(passthroughCluster, config);
  if (key.istioFilters) cluster.filters = [metadataExchangeFilter()];
  return cluster;
}

function inboundPassthrough(key: StaticClusterKey, config: MeshConfig): Cluster {
  const cluster = originalDestination(passthroughCluster, config);
  cluster.name = inboundPassthroughCluster;
  cluster.upstreamBindConfig = loopbackBind(key.ipFamily);
  return cluster;
}

function dynamicDns(key: StaticClusterKey, config: MeshConfig): Cluster {
  const typedConfig = packed(ClusterConfigSchema, {
    allowInsecureClusterOptions: true,
    clusterImplementationSpecifier: {
      case: 'dnsCacheConfig',
      value: {
        name: 'allow_any_dfp_dns_cache',
        dnsLookupFamily: lookupFamily(key.ipFamily),
        maxHosts: dynamicHosts,
      },
    },
  });
  const cluster = create(ClusterSchema, {
    ...base(dynamicDnsCluster, config),
    clusterDiscoveryType: {
      case: 'clusterType',
      value: { name: 'envoy.clusters.dynamic_forward_proxy', typedConfig },
    },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    circuitBreakers: circuitBreakers(),
    filters: key.istioFilters ? [metadataExchangeFilter()] : [],
  });
  setHttpOptions(cluster, downstreamOptions(idleTimeout));
  return cluster;
}

/** The source address by which the capture rules know the sidecar's own connections to its application. */
export function loopbackBind(ipFamily: ProxyClass['ipFamily']) {
  const sourceAddress = ipFamily === 'v6' ? '::6' : '127.0.0.6';
  return create(BindConfigSchema, {
    sourceAddress: { address: sourceAddress, portSpecifier: { case: 'portValue', value: 0 } },
    extraSourceAddresses:
      ipFamily === 'dual' ? [{ address: { address: '::6', portSpecifier: { case: 'portValue', value: 0 } } }] : [],
  });
}
