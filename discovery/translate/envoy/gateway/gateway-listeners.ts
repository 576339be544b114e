// Listeners of gateways: one for each port and bind address of the merged servers.
import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { millisecondsOf, parseDuration } from '../../../../config/duration.ts';
import { compareText } from '../../../../config/object.ts';
import { TrafficDirection } from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type FilterChain,
  FilterChainSchema,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { query, type Read } from '../../../graph/graph.ts';
import { dualStack } from '../../../model/client-addresses.ts';
import { clientView } from '../../../model/client-view.ts';
import { gateways, type MergedPort, mergedGateways, terminatesHttps } from '../../../model/gateways.ts';
import { facts, mesh } from '../../../model/objects.ts';
import { isHttp } from '../../../model/protocol.ts';
import type { Facets } from '../../../proxy/proxy-class.ts';
import { encodeResource } from '../../../resource.ts';
import { typeUrls } from '../../../xds-types.ts';
import { outboundCluster } from '../../names.ts';
import { defineTranslator, type ResourceRef, refTo, resourceQuery } from '../../translator.ts';
import { effectiveSettings } from '../connection-settings.ts';
import { filterClient, filterFacets } from '../filter-client.ts';
import { accessLogSettings, accessLogs, listenerLogs } from '../filters/access-log.ts';
import type { FilterClient } from '../filters/context.ts';
import { proxyProtocol, tlsInspector } from '../filters/listener-filters.ts';
import { tcpFilters, tcpPeerMetadata } from '../filters/tcp-proxy.ts';
import { httpConnectionFilter } from '../http-connection-manager.ts';
import { listenerAddresses, perSocketEvent } from '../listener-parts.ts';
import { configMetadata } from '../metadata.ts';
import { wildcards } from '../outbound/outbound-plan.ts';
import { proxyConfigOf } from '../proxy-config.ts';
import type { ExternalSds } from '../sds.ts';
import { acceptable, type ChainPlan, namesOf } from './chain-plan.ts';
import { gatewayTlsDefaults, serverTls } from './server-tls.ts';
import { type StreamChain, sniHosts, streamChains } from './stream-chains.ts';

const facets = [...filterFacets, 'namespace', 'labels', 'targets', 'ipFamily'] as const;
type Client = Facets<(typeof facets)[number]>;

/** All listeners of gateways. */
export const gatewayListeners = defineTranslator('gateway-listeners', {
  type: 'listener',
  facets,
  list: (read, client) => new Map(listenersOf(read, client)),
});

/** A listener by all that its bytes depend on. */
interface GatewayListenerKey {
  readonly name: string;
  readonly binds: readonly string[];
  readonly port: number;
  readonly chains: readonly ChainPlan[];
  /** Gateways that it is made of, `namespace/name`, sorted. */
  readonly gateways: readonly string[];
  readonly client: FilterClient;
  readonly agentSds: boolean;
  readonly exactBalance: boolean;
}

function listenersOf(read: Read, client: Client): readonly (readonly [string, ResourceRef])[] {
  const { namespace, labels, targets, settings, capabilities, ipFamily } = client;
  // Ports of several protocols can share a listener, as HTTPS and TLS do by server names.
  const listeners = new Map<
    string,
    { readonly port: MergedPort; readonly chains: ChainPlan[]; readonly gateways: Set<string> }
  >();
  for (const port of read(mergedGateways, { namespace, labels, targets })) {
    if (settings.unprivileged === true && port.port < 1024) continue;
    const id = `${port.port}|${port.bind}`;
    const known = listeners.get(id) ?? { port, chains: [], gateways: new Set() };
    known.chains.push(...chainsOf(read, port, client));
    for (const { gateway } of port.servers) known.gateways.add(gateway);
    listeners.set(id, known);
  }
  return [...listeners.values()].flatMap(({ port: { port, bind }, chains: planned, gateways: from }) => {
    const chains = acceptable(planned, capabilities.agentSds);
    if (chains.length === 0) return [];
    const all = wildcards(ipFamily).slice(0, read(dualStack, 'facts') ? 2 : 1);
    const binds = bind === '' ? all : [bind];
    const name = `${binds[0]}_${port}`;
    const key: GatewayListenerKey = {
      name,
      binds,
      port,
      chains,
      gateways: [...from].sort(compareText),
      client: filterClient(client),
      agentSds: capabilities.agentSds,
      exactBalance: settings.exactBalanceInbound === true,
    };
    return [[name, refTo(gatewayListener, key)] as const];
  });
}

function chainsOf(read: Read, port: MergedPort, client: Client): readonly ChainPlan[] {
  if (isHttp(port.protocol)) return [{ kind: 'http', routeName: port.routeName, sni: [] }];
  const { namespace, labels, settings, ipFamily } = client;
  const { idleTimeoutMs } = settings;
  const stream = {
    ...clientView(read, { namespace, labels, scope: '' }),
    namespace,
    ipFamily,
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
  };
  const taken = new Set<string>();
  return port.servers.flatMap((merged): readonly ChainPlan[] => {
    const tls = merged.server.tls === undefined ? {} : { tls: merged.server.tls };
    if (terminatesHttps(merged))
      return [{ kind: 'http', routeName: merged.routeName, sni: sniHosts(merged.hosts), ...tls }];
    return streamChains(read, merged, stream, taken).map((chain) => ({
      kind: 'stream',
      chain,
      ...(chain.terminates ? tls : {}),
    }));
  });
}

const gatewayListener = resourceQuery<GatewayListenerKey>(
  'gateway-listener',
  (key) => JSON.stringify(key),
  (read, key) => {
    // All of them that counts is in the key; read, they are among the objects that a rejection is told of.
    for (const gateway of key.gateways) read(gateways, gateway);
    return encodeResource(typeUrls.listener, key.name, toBinary(ListenerSchema, buildListener(read, key)));
  },
);

function buildListener(read: Read, key: GatewayListenerKey): Listener {
  const settings = read(proxyConfigOf, key.client.proxyConfig);
  const chains = key.chains.map((plan) => buildChain(read, key, plan));
  const sniffed = key.chains.some((plan) => plan.tls !== undefined || namesOf(plan).length > 0);
  const bufferLimit = effectiveSettings(settings.connectionSettings, 'gateway').listenerPerConnectionBufferLimitBytes;
  return create(ListenerSchema, {
    name: key.name,
    ...listenerAddresses(key.binds, key.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: chains,
    listenerFilters: [
      ...(settings.gatewayTopology?.proxyProtocol === undefined ? [] : [proxyProtocol()]),
      ...(sniffed ? [tlsInspector()] : []),
    ],
    accessLog: listenerLogs(read(accessLogSettings, 'mesh')),
    ...perSocketEvent(read),
    ...(bufferLimit === undefined ? {} : { perConnectionBufferLimitBytes: bufferLimit }),
    ...(key.exactBalance ? { connectionBalanceConfig: { balanceType: { case: 'exactBalance', value: {} } } } : {}),
  });
}

function buildChain(read: Read, key: GatewayListenerKey, plan: ChainPlan): FilterChain {
  const { tls } = plan;
  const istioTcp = plan.kind === 'stream' && tls?.mode === 'ISTIO_MUTUAL' && key.client.istioFilters;
  const handshake = read(handshakeTimeoutMs, 'facts');
  const external = read(externalSds, 'mesh');
  const context = {
    agentSds: key.agentSds,
    exchangesMetadata: istioTcp,
    defaults: read(gatewayTlsDefaults, 'mesh'),
    ...(external === undefined ? {} : { externalSds: external }),
  };
  return create(FilterChainSchema, {
    filters: plan.kind === 'http' ? [httpFilter(read, key, plan.routeName)] : streamFilters(read, plan.chain, istioTcp),
    ...matchOf(plan.kind === 'http' ? { sni: plan.sni, alpn: [] } : plan.chain),
    ...(tls === undefined ? {} : { transportSocket: serverTls(tls, context) }),
    ...(handshake === 0
      ? {}
      : {
          transportSocketConnectTimeout: create(DurationSchema, {
            seconds: BigInt(Math.floor(handshake / 1000)),
            nanos: (handshake % 1000) * 1_000_000,
          }),
        }),
    ...(plan.kind === 'stream' && plan.chain.rules !== undefined
      ? { metadata: configMetadata('virtual-service', plan.chain.rules.namespace, plan.chain.rules.name) }
      : {}),
  });
}

function httpFilter(read: Read, key: GatewayListenerKey, routeName: string) {
  return httpConnectionFilter(read, {
    context: { ...key.client, direction: 'gateway', grpcWeb: false },
    statPrefix: `outbound_${key.name}`,
    routes: routeName,
    explicitProxy: false,
    http2: false,
  });
}

function streamFilters(read: Read, { target }: StreamChain, exchangesMetadata: boolean) {
  return [
    ...(exchangesMetadata ? [tcpPeerMetadata] : []),
    ...tcpFilters(target, accessLogs(read(accessLogSettings, 'mesh'))),
  ];
}

function matchOf({ sni, alpn }: { readonly sni: readonly string[]; readonly alpn: readonly string[] }) {
  // `*` takes any name, also none at all, for which Envoy has no pattern but saying nothing.
  const serverNames = sni.includes('*') ? [] : [...sni];
  if (serverNames.length === 0 && alpn.length === 0) return {};
  return { filterChainMatch: { serverNames, applicationProtocols: [...alpn] } };
}

/** How long Envoy waits for a handshake, in milliseconds; 0 for ever. */
const handshakeTimeoutMs = query('gateway-handshake-timeout', (read, _key: 'facts'): number => {
  const written = read(facts, 'facts').features['PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT'];
  const parsed = written === undefined ? undefined : parseDuration(written);
  return parsed === undefined ? 15_000 : millisecondsOf(parsed);
});

/** The mesh's certificate server, where a provider of kind `sds` is set up. */
const externalSds = query('external-sds', (read, _key: 'mesh'): ExternalSds | undefined => {
  for (const { sds } of read(mesh, 'mesh').extensionProviders ?? []) {
    if (sds === undefined) continue;
    const authority = (sds.service ?? '').slice((sds.service ?? '').indexOf('/') + 1);
    return { cluster: outboundCluster(sds.port ?? 0, '', authority), authority };
  }
  return undefined;
});
