// An outbound listener of a sidecar: filter chains for HTTP and TCP, and what takes the connections that fit none.
import { create, toBinary } from '@bufbuild/protobuf';
import { TrafficDirection } from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import type { Read } from '../../../graph/graph.ts';
import { parseRange } from '../../../model/address.ts';
import { encodeResource } from '../../../resource.ts';
import { typeUrls } from '../../../xds-types.ts';
import { blackHoleCluster } from '../../names.ts';
import { resourceQuery } from '../../translator.ts';
import { accessLogSettings, accessLogs } from '../filters/access-log.ts';
import type { DynamicDns, FilterClient } from '../filters/context.ts';
import { httpInspector, plainHttp, tlsInspector } from '../filters/listener-filters.ts';
import { plainTarget, tcpFilters } from '../filters/tcp-proxy.ts';
import { httpConnectionFilter } from '../http-connection-manager.ts';
import { detectionTimeout, listenerAddresses, perSocketEvent } from '../listener-parts.ts';
import { configMetadata } from '../metadata.ts';
import { seconds } from '../wire.ts';
import type { HttpPart, OutboundPlan } from './outbound-plan.ts';
import type { TcpChain } from './tcp-chains.ts';

/** A planned listener and what of the client its bytes depend on. */
export interface OutboundListenerKey {
  readonly plan: OutboundPlan;
  /** Cluster of connections that fit no chain; undefined refuses them. */
  readonly fallback: string | undefined;
  readonly exactBalance: boolean;
  /** Present only where the listener speaks HTTP. */
  readonly http?: FilterClient & { readonly dynamicDns?: DynamicDns };
}

/** Cells of outbound listeners. */
export const outboundListener = resourceQuery<OutboundListenerKey>(
  'outbound-listener',
  ({ plan, fallback, exactBalance, http }) =>
    `${plan.id}|${fallback ?? ''}|${exactBalance}|${http === undefined ? '' : JSON.stringify(http)}`,
  (read, key) => {
    const listener = buildListener(read, key);
    return encodeResource(typeUrls.listener, key.plan.name, toBinary(ListenerSchema, listener));
  },
);

/** Envoy waits this long for the TLS handshake of a transport socket. */
const handshakeTimeout = 15;

function buildListener(read: Read, { plan, fallback, exactBalance, http }: OutboundListenerKey): Listener {
  const chains = [
    ...(plan.http === undefined || http === undefined ? [] : [httpChain(read, plan, plan.http, http)]),
    ...plan.chains.map((chain) => tcpChain(read, chain)),
  ];
  const [single] = chains;
  const open = chains.find((chain) => chain.filterChainMatch === undefined);
  const alone = chains.length === 1 && single === open;
  const other = alone ? undefined : (open ?? fallbackChain(read, fallback));
  return create(ListenerSchema, {
    name: plan.name,
    ...listenerAddresses(plan.binds, plan.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: alone ? chains : chains.filter((chain) => chain !== open),
    ...(other === undefined ? {} : { defaultFilterChain: other }),
    listenerFilters: inspectors(plan, chains),
    listenerFiltersTimeout: detectionTimeout(read),
    continueOnListenerFiltersTimeout: true,
    ...(plan.bindToPort ? perSocketEvent(read) : { bindToPort: false }),
    ...(exactBalance ? { connectionBalanceConfig: { balanceType: { case: 'exactBalance', value: {} } } } : {}),
  });
}

function httpChain(read: Read, plan: OutboundPlan, part: HttpPart, client: NonNullable<OutboundListenerKey['http']>) {
  const filter = httpConnectionFilter(read, {
    context: { ...client, direction: 'outbound', grpcWeb: part.grpcWeb },
    statPrefix: `outbound_${plan.name}`,
    routes: part.routeName,
    explicitProxy: part.proxy,
    http2: false,
  });
  return create(FilterChainSchema, {
    filters: [filter],
    transportSocketConnectTimeout: seconds(handshakeTimeout),
    // Redirected connections may speak anything; a socket of its own is asked for HTTP on purpose.
    ...(plan.bindToPort && plan.chains.length === 0
      ? {}
      : { filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: [...plainHttp] } }),
  });
}

function tcpChain(read: Read, chain: TcpChain): FilterChain {
  const match = matchOf(chain);
  return create(FilterChainSchema, {
    filters: tcpFilters(chain.target, accessLogs(read(accessLogSettings, 'mesh'))),
    transportSocketConnectTimeout: seconds(handshakeTimeout),
    ...(match === undefined ? {} : { filterChainMatch: match }),
    ...(chain.rules === undefined
      ? {}
      : { metadata: configMetadata('virtual-service', chain.rules.namespace, chain.rules.name) }),
  });
}

function matchOf({ sni, cidrs }: TcpChain): FilterChainMatch | undefined {
  if (sni.length === 0 && cidrs.length === 0) return undefined;
  return create(FilterChainMatchSchema, {
    // `*` means any name, for which Envoy has no pattern but saying nothing.
    serverNames: sni.includes('*') ? [] : [...sni],
    prefixRanges: cidrs.map((cidr) => {
      const range = parseRange(cidr) ?? { address: cidr, bits: cidr.includes(':') ? 128 : 32 };
      return { addressPrefix: range.address, prefixLen: range.bits };
    }),
  });
}

function fallbackChain(read: Read, cluster: string | undefined): FilterChain {
  return create(FilterChainSchema, {
    name: 'PassthroughFilterChain',
    filterChainMatch: {},
    filters: tcpFilters(plainTarget(cluster ?? blackHoleCluster), accessLogs(read(accessLogSettings, 'mesh'))),
  });
}

function inspectors(plan: OutboundPlan, chains: readonly FilterChain[]) {
  const resolved = plan.chains.some(({ target }) => target.dynamic !== undefined);
  const sni = resolved || chains.some(({ filterChainMatch: match }) => (match?.serverNames.length ?? 0) > 0);
  const http = chains.some(({ filterChainMatch: match }) => (match?.applicationProtocols.length ?? 0) > 0);
  return [...(sni ? [tlsInspector()] : []), ...(http ? [httpInspector()] : [])];
}
