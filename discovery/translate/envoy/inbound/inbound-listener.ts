// Inbound listeners: virtualInbound, to which all redirected connections come, and sockets of their own without capture.
import { create, toBinary } from '@bufbuild/protobuf';
import { TrafficDirection } from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { query, type Read } from '../../../graph/graph.ts';
import { encodeResource, type SharedBytes, sharedBytes } from '../../../resource.ts';
import { typeUrls } from '../../../xds-types.ts';
import { blackHoleCluster, inboundPassthroughCluster } from '../../names.ts';
import { resourceQuery } from '../../translator.ts';
import { fileTls, mutualTls } from '../downstream-tls.ts';
import { accessLogSettings, accessLogs, listenerLogs } from '../filters/access-log.ts';
import type { FilterClient } from '../filters/context.ts';
import {
  httpInspector,
  originalDestination,
  originalSource,
  plainHttp,
  tlsInspector,
} from '../filters/listener-filters.ts';
import { plainTarget, tcpFilters, tcpPeerMetadata } from '../filters/tcp-proxy.ts';
import { httpConnectionFilter } from '../http-connection-manager.ts';
import { detectionTimeout, listenerAddresses, perSocketEvent } from '../listener-parts.ts';
import { configMetadata } from '../metadata.ts';
import { type ChainMatch, chainMatches, ownTls } from './chain-matches.ts';
import type { InboundPort } from './inbound-ports.ts';
import { inboundRetries, inboundRoutes } from './inbound-route.ts';

/** An inbound listener, by all that its bytes depend on. */
export interface InboundListenerKey {
  readonly name: string;
  readonly binds: readonly string[];
  readonly port: number;
  readonly ports: readonly InboundPort[];
  /** Present for virtualInbound: what it does with ports that are not listed. */
  readonly others?: readonly { readonly port: number; readonly mode: InboundPort['mode'] }[];
  readonly transparent: boolean;
  readonly exactBalance: boolean;
  readonly agentSds: boolean;
  readonly client: FilterClient;
  /** Milliseconds, where the proxy asks for it. */
  readonly idleTimeoutMs?: number;
}

/** Name of the listener of redirected connections, and of its chains for unlisted ports. */
export const virtualInbound = 'virtualInbound';

/** Cells of inbound listeners. */
export const inboundListener = resourceQuery<InboundListenerKey>(
  'inbound-listener',
  (key) => JSON.stringify(key),
  (read, key) =>
    encodeResource(typeUrls.listener, key.name, [
      ...(key.others === undefined ? [] : [read(unlistedFrames, unlistedKey(key, key.others))]),
      toBinary(ListenerSchema, buildListener(read, key)),
    ]),
);

/** What the chains for unlisted ports depend on. */
type UnlistedKey = ChainClient & Required<Pick<InboundListenerKey, 'port' | 'others'>>;

/** What every chain depends on. */
type ChainClient = Pick<InboundListenerKey, 'agentSds' | 'client' | 'idleTimeoutMs'>;

function unlistedKey(key: InboundListenerKey, others: UnlistedKey['others']): UnlistedKey {
  const { port, agentSds, client, idleTimeoutMs } = key;
  return { port, others, agentSds, client, ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }) };
}

/** Chains for unlisted ports as fields of the listener: most of its bytes, and the same for all sidecars of a namespace. */
const unlistedFrames = query<UnlistedKey, SharedBytes>(
  'inbound-unlisted',
  (read, key) => {
    const others = key.others.flatMap(({ port, mode }) => passthroughChains(read, key, port, mode));
    const filterChains = [blackHoleChain(key), ...others];
    return sharedBytes([toBinary(ListenerSchema, create(ListenerSchema, { filterChains }))]);
  },
  { equals: (a, b) => a.hash === b.hash },
);

/** The listener without its chains for unlisted ports. */
function buildListener(read: Read, key: InboundListenerKey): Listener {
  const chains = key.ports.flatMap((port) => portChains(read, key, port));
  return create(ListenerSchema, {
    name: key.name,
    ...listenerAddresses(key.binds, key.port),
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: chains,
    listenerFilters: listenerFilters(key),
    listenerFiltersTimeout: detectionTimeout(read),
    continueOnListenerFiltersTimeout: true,
    accessLog: listenerLogs(read(accessLogSettings, 'mesh')),
    ...perSocketEvent(read),
    ...(key.transparent ? { transparent: true } : {}),
    ...(key.exactBalance ? { connectionBalanceConfig: { balanceType: { case: 'exactBalance', value: {} } } } : {}),
  });
}

/** Connections to the listener's own port would go round for ever. */
function blackHoleChain(key: UnlistedKey): FilterChain {
  return create(FilterChainSchema, {
    name: 'virtualInbound-blackhole',
    filterChainMatch: { destinationPort: key.port },
    filters: [...peerMetadata(key), ...tcpFilters(plainTarget(blackHoleCluster), [])],
  });
}

function passthroughChains(read: Read, key: UnlistedKey, port: number, mode: InboundPort['mode']) {
  const cluster = inboundPassthroughCluster;
  const target = { cluster, hostname: '', servicePort: 0, protocol: 'auto' } as const;
  return chains(read, key, unlistedMatches(mode), port, (serves) => ({
    ...target,
    name: serves === 'http' ? 'virtualInbound-catchall-http' : virtualInbound,
    statPrefix: cluster,
  }));
}

function unlistedMatches(mode: InboundPort['mode']): readonly ChainMatch[] {
  return chainMatches(mode, 'auto');
}

function portMatches(port: InboundPort): readonly ChainMatch[] {
  return port.tls === undefined ? chainMatches(port.mode, port.served) : ownTls(port.served);
}

function portChains(read: Read, key: InboundListenerKey, port: InboundPort): readonly FilterChain[] {
  const name = `${port.bind}_${port.port}`;
  const built = chains(read, key, portMatches(port), port.port, (serves) => ({
    ...port,
    name,
    statPrefix: serves === 'http' ? `inbound_${name}` : port.cluster,
  }));
  const [namespace = '', sidecar = ''] = port.sidecar?.split('/') ?? [];
  for (const chain of built) {
    if (port.tls !== undefined) chain.transportSocket = fileTls(port.tls);
    if (sidecar !== '') chain.metadata = configMetadata('sidecar', namespace, sidecar);
  }
  return built;
}

/** Where the requests and connections of chains go. */
type ChainTarget = Pick<InboundPort, 'cluster' | 'hostname' | 'servicePort' | 'protocol'> & {
  readonly name: string;
  readonly statPrefix: string;
};

/** Chains of a port, 0 being every port. Those that serve the same have the same filters, which are made once. */
function chains(
  read: Read,
  key: ChainClient,
  matches: readonly ChainMatch[],
  port: number,
  targetOf: (serves: ChainMatch['serves']) => ChainTarget,
): FilterChain[] {
  const filters = new Map<ChainMatch['serves'], Filter[]>();
  for (const { serves } of matches) {
    if (filters.has(serves)) continue;
    const target = targetOf(serves);
    const last = serves === 'http' ? [httpFilterOf(read, key, target)] : tcpFiltersOf(read, key, target);
    filters.set(serves, [...peerMetadata(key), ...last]);
  }
  return matches.map(({ serves, transport, protocols, mutual }) => {
    const mtls = { http: serves === 'http', metadataExchange: key.client.istioFilters, agentSds: key.agentSds };
    return create(FilterChainSchema, {
      name: targetOf(serves).name,
      filterChainMatch: {
        transportProtocol: transport,
        applicationProtocols: [...protocols],
        ...(port === 0 ? {} : { destinationPort: port }),
      },
      filters: filters.get(serves) ?? [],
      ...(mutual ? { transportSocket: read(mutualTls, mtls) } : {}),
    });
  });
}

function httpFilterOf(read: Read, key: ChainClient, target: ChainTarget): Filter {
  const { statPrefix, cluster, hostname, servicePort, protocol } = target;
  return httpConnectionFilter(read, {
    context: { ...key.client, direction: 'inbound', grpcWeb: protocol === 'grpc-web' },
    statPrefix,
    routes: inboundRoutes({ cluster, hostname, port: servicePort, protocol }, read(inboundRetries, 'mesh')),
    explicitProxy: false,
    http2: protocol === 'http2' || protocol === 'grpc' || protocol === 'grpc-web',
  });
}

function tcpFiltersOf(read: Read, key: ChainClient, { statPrefix, cluster, protocol }: ChainTarget): Filter[] {
  const target = {
    statPrefix,
    clusters: [{ name: cluster, weight: 1 }],
    protocol,
    ...(key.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: key.idleTimeoutMs }),
  };
  return tcpFilters(target, accessLogs(read(accessLogSettings, 'mesh')));
}

/** Policies and telemetry need to know the peer, so this stands first. */
function peerMetadata({ client }: ChainClient): Filter[] {
  return client.istioFilters ? [tcpPeerMetadata] : [];
}

/** Inspectors run only on ports where some chain asks for what they find: a server that speaks first would wait. */
function listenerFilters(key: InboundListenerKey): ListenerFilter[] {
  const tls = new Map<number, boolean>();
  const http = new Map<number, boolean>();
  const add = (port: number, { transport, protocols }: Pick<ChainMatch, 'transport' | 'protocols'>): void => {
    tls.set(port, (tls.get(port) ?? false) || transport === 'tls');
    http.set(port, (http.get(port) ?? false) || protocols.some((protocol) => plainHttp.includes(protocol)));
  };
  if (key.others !== undefined) add(key.port, { transport: 'raw_buffer', protocols: [] });
  for (const { port, mode } of key.others ?? []) for (const match of unlistedMatches(mode)) add(port, match);
  for (const port of key.ports) for (const match of portMatches(port)) add(port.port, match);
  return [
    ...(key.others === undefined ? [] : [originalDestination()]),
    ...(key.transparent ? [originalSource()] : []),
    ...tlsInspectorFor(tls),
    ...([...http.values()].includes(true) ? [httpInspector(portsWith(http, false))] : []),
  ];
}

function tlsInspectorFor(ports: ReadonlyMap<number, boolean>): ListenerFilter[] {
  const wanted = portsWith(ports, true);
  if (wanted.length === 0) return [];
  return ports.get(0) === true ? [tlsInspector({ except: portsWith(ports, false) })] : [tlsInspector({ only: wanted })];
}

function portsWith(ports: ReadonlyMap<number, boolean>, value: boolean): readonly number[] {
  return [...ports].filter(([, set]) => set === value).map(([port]) => port);
}
