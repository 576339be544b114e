// TCP: the proxy that sends connections to a cluster or several, and the filters that read a protocol before it.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import type { AccessLog } from '../../../../protos/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { type Filter, FilterSchema } from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { MongoProxySchema } from '../../../../protos/gen/envoy/extensions/filters/network/mongo_proxy/v3/mongo_proxy_pb.js';
import { FilterConfigSchema as SniForwardProxySchema } from '../../../../protos/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import {
  TcpProxy_TunnelingConfigSchema,
  TcpProxySchema,
} from '../../../../protos/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import type { Protocol } from '../../../model/service.ts';
import { packed, typedStruct } from '../wire.ts';
import type { DynamicDns } from './context.ts';
import { dnsCache } from './dynamic-forward-proxy.ts';

/** Where connections go. Plain data, so that it can be part of a key. */
export interface TcpTarget {
  readonly statPrefix: string;
  /** One cluster, or several by weight. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  /** Milliseconds; 0 never ends idle connections, absent is Envoy's hour. */
  readonly idleTimeoutMs?: number;
  /** Connections of one source address stay with one endpoint. */
  readonly bySourceIp?: boolean;
  /** Carries connections through HTTP CONNECT (or POST) to this target. */
  readonly tunnel?: { readonly target: string; readonly post: boolean };
  /** The host is resolved by its server name as connections come; they go to this port. */
  readonly dynamic?: { readonly dns: DynamicDns; readonly port: number };
  /** Decides which reader stands before the proxy. */
  readonly protocol: Protocol;
}

/** Network filters of a TCP connection: the protocol's own reader, then the proxy. */
export function tcpFilters(target: TcpTarget, logs: readonly AccessLog[]): Filter[] {
  const proxy = networkFilter('envoy.filters.network.tcp_proxy', packed(TcpProxySchema, proxyOf(target, logs)));
  if (target.dynamic !== undefined) return [sniForwardProxy(target.dynamic), proxy];
  if (target.protocol !== 'mongo') return [proxy];
  const { statPrefix } = target;
  return [networkFilter('envoy.filters.network.mongo_proxy', packed(MongoProxySchema, { statPrefix })), proxy];
}

function sniForwardProxy({ dns, port }: NonNullable<TcpTarget['dynamic']>): Filter {
  return networkFilter(
    'envoy.extensions.filters.network.sni_dynamic_forward_proxy',
    packed(SniForwardProxySchema, {
      dnsCacheConfig: dnsCache(dns),
      portSpecifier: { case: 'portValue', value: port },
    }),
  );
}

/** A connection to one cluster, named after it. */
export function plainTarget(cluster: string): TcpTarget {
  return { statPrefix: cluster, clusters: [{ name: cluster, weight: 1 }], protocol: 'tcp' };
}

/** A network filter with its configuration. */
export function networkFilter(name: string, typedConfig: Any): Filter {
  return create(FilterSchema, { name, configType: { case: 'typedConfig', value: typedConfig } });
}

/** Reads what peers say of themselves at the start of a connection; only istio-proxy has it (contract 3.1). */
export const tcpPeerMetadata: Filter = networkFilter(
  'istio.metadata_exchange',
  typedStruct('type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange', {
    enable_discovery: true,
    protocol: 'istio-peer-exchange',
  }),
);

function proxyOf(target: TcpTarget, logs: readonly AccessLog[]): MessageInitShape<typeof TcpProxySchema> {
  const proxy = create(TcpProxySchema, { statPrefix: target.statPrefix, accessLog: [...logs] });
  const [first] = target.clusters;
  proxy.clusterSpecifier =
    target.clusters.length === 1 && first !== undefined
      ? { case: 'cluster', value: first.name }
      : weighted(target.clusters);
  if (target.idleTimeoutMs !== undefined) proxy.idleTimeout = milliseconds(target.idleTimeoutMs);
  if (target.bySourceIp === true) {
    proxy.hashPolicy = create(TcpProxySchema, {
      hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }],
    }).hashPolicy;
  }
  if (target.tunnel !== undefined) {
    const { target: hostname, post } = target.tunnel;
    proxy.tunnelingConfig = create(TcpProxy_TunnelingConfigSchema, { hostname, usePost: post });
  }
  return proxy;
}

function weighted(clusters: TcpTarget['clusters']) {
  return create(TcpProxySchema, {
    clusterSpecifier: {
      case: 'weightedClusters',
      value: { clusters: clusters.map(({ name, weight }) => ({ name, weight })) },
    },
  }).clusterSpecifier;
}

function milliseconds(count: number) {
  return create(DurationSchema, { seconds: BigInt(Math.floor(count / 1000)), nanos: (count % 1000) * 1_000_000 });
}
