// Listeners of sidecars: one for each outbound address and port, and those that redirected connections come to.
import { query, type Read } from '../../graph/graph.ts';
import { dualStack } from '../../model/client-addresses.ts';
import { clientView } from '../../model/client-view.ts';
import { mesh } from '../../model/objects.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import type { Facets } from '../../proxy/proxy-class.ts';
import { layered } from '../layered-directory.ts';
import { passthroughCluster } from '../names.ts';
import { type Directory, defineTranslator, type ResourceRef, refTo } from '../translator.ts';
import { filterClient } from './filter-client.ts';
import type { DynamicDns } from './filters/context.ts';
import { inboundListener, virtualInbound } from './inbound/inbound-listener.ts';
import { type InboundPort, inboundPorts } from './inbound/inbound-ports.ts';
import { httpPlans, tcpDirectory } from './outbound/outbound-directory.ts';
import { type OutboundListenerKey, outboundListener } from './outbound/outbound-listener.ts';
import { identified, type OutboundPlan, wildcards } from './outbound/outbound-plan.ts';
import { virtualOutbound, virtualOutboundListener } from './outbound/virtual-outbound.ts';
import { outboundPolicyCluster } from './route/catch-all.ts';
import { httpProxyRoute } from './sidecar-routes.ts';

const facets = [
  'namespace',
  'scope',
  'labels',
  'ipFamily',
  'settings',
  'capabilities',
  'interception',
  'addresses',
  'targets',
  'cluster',
  'canonical',
] as const;

type Client = Facets<(typeof facets)[number]>;

/** All listeners of sidecars; clients take every one. */
export const sidecarListeners = defineTranslator('sidecar-listeners', {
  type: 'listener',
  facets,
  list: (read, client) => {
    const { shared, own } = outbound(read, client);
    const rest = [...own, ...inbound(read, client)].filter(([name]) => !shared.has(name));
    return layered(shared, new Map(rest));
  },
});

type Named = readonly [string, ResourceRef];

interface ListenerMesh {
  /** Ports to which connections are redirected; 0 where none are. */
  readonly outboundPort: number;
  readonly inboundPort: number;
  /** Port of the explicit proxy; 0 has none. */
  readonly httpPort: number;
}

const listenerMesh = query('listener-mesh', (read, _key: 'mesh'): ListenerMesh => {
  const { proxyListenPort, proxyInboundListenPort, proxyHttpPort } = read(mesh, 'mesh');
  return {
    outboundPort: proxyListenPort ?? 0,
    inboundPort: proxyInboundListenPort ?? 0,
    httpPort: proxyHttpPort ?? 0,
  };
});

function outbound(read: Read, client: Client): { readonly shared: Directory; readonly own: readonly Named[] } {
  const { namespace, scope, ipFamily, settings, interception, addresses } = client;
  const policy = read(sidecarScope, { namespace, scope }).outboundTrafficPolicy;
  const cluster = outboundPolicyCluster(policy);
  // Only HTTP says which name it wants; other connections keep their address.
  const dynamic = policy.mode === 'ALLOW_ANY_DYNAMIC_DNS' && policy.egressProxy === undefined;
  const fallback = dynamic ? passthroughCluster : cluster;
  const base = filterClient(client);
  const anyHost: DynamicDns = { cache: 'allow_any_dfp_dns_cache', family: ipFamily, maxHosts: 1024 };
  const { idleTimeoutMs, exactBalanceOutbound: exactBalance = false, unprivileged = false } = settings;
  const idle = idleTimeoutMs === undefined ? {} : { idleTimeoutMs };
  const seen = {
    ...clientView(read, client),
    ipFamily,
    settings,
    interception,
    unprivileged,
    addresses,
    ...idle,
  };
  const shared = read(tcpDirectory, { ...seen, fallback, exactBalance });
  const plans = read(httpPlans, seen);
  const keyOf = (plan: OutboundPlan): OutboundListenerKey => ({
    plan,
    fallback,
    exactBalance,
    ...(plan.http === undefined ? {} : { http: { ...base, ...dnsOf(plan.http.dynamicHost, dynamic, anyHost) } }),
  });
  const { outboundPort, httpPort } = read(listenerMesh, 'mesh');
  const named = [...plans, ...explicitProxy(settings.httpProxyPort ?? httpPort, ipFamily)].map(
    (plan): Named => [plan.name, refTo(outboundListener, keyOf(plan))],
  );
  if (interception === 'NONE' || outboundPort === 0) return { shared, own: named };
  const key = {
    binds: captureBinds(read, ipFamily),
    port: outboundPort,
    fallback,
    transparent: interception === 'TPROXY',
    ...idle,
    ...(dynamic ? { dynamic: { ...base, dynamicDns: anyHost } } : {}),
  };
  return { shared, own: [...named, [virtualOutbound, refTo(virtualOutboundListener, key)]] };
}

/** A wildcard host of its own is resolved through its own cache, else unknown hosts through theirs. */
function dnsOf(host: string | undefined, any: boolean, anyHost: DynamicDns): { readonly dynamicDns?: DynamicDns } {
  if (host !== undefined) return { dynamicDns: { cache: `${host}_dfp_dns_cache`, family: anyHost.family } };
  return any ? { dynamicDns: anyHost } : {};
}

/** The listener to which applications send requests on purpose (HTTP_PROXY). */
function explicitProxy(port: number, ipFamily: Client['ipFamily']): readonly OutboundPlan[] {
  if (port === 0) return [];
  const bind = ipFamily === 'v6' ? '::1' : '127.0.0.1';
  const http = { routeName: httpProxyRoute, grpcWeb: false, proxy: true };
  return [identified({ name: `${bind}_${port}`, binds: [bind], port, bindToPort: true, http, chains: [] })];
}

function inbound(read: Read, client: Client): readonly Named[] {
  const { namespace, scope, labels, interception, addresses, targets, ipFamily, settings, capabilities } = client;
  const { ports, others } = read(inboundPorts, {
    namespace,
    scope,
    labels,
    interception,
    addresses,
    targets,
    ipFamily,
  });
  const { idleTimeoutMs, exactBalanceInbound: exactBalance = false, unprivileged = false } = settings;
  const common = {
    transparent: interception === 'TPROXY',
    exactBalance,
    agentSds: capabilities.agentSds,
    client: filterClient(client),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
  };
  const own = ports.filter(({ bindToPort, port }) => bindToPort && !(unprivileged && port < 1024));
  const named = own.map((port): Named => {
    const name = `${port.bind}_${port.port}`;
    const key = { ...common, transparent: false, name, binds: [port.bind], port: port.port, ports: [port] };
    return [name, refTo(inboundListener, key)];
  });
  const port = read(listenerMesh, 'mesh').inboundPort;
  if (interception === 'NONE' || port === 0) return named;
  const captured: readonly InboundPort[] = ports.filter(({ bindToPort }) => !bindToPort);
  const key = { ...common, name: virtualInbound, binds: captureBinds(read, ipFamily), port, ports: captured, others };
  return [...named, [virtualInbound, refTo(inboundListener, key)]];
}

/** Redirected connections of the second family come to the wildcard too, where the mesh is served in both. */
function captureBinds(read: Read, ipFamily: Client['ipFamily']): readonly string[] {
  const all = wildcards(ipFamily);
  return read(dualStack, 'facts') ? all : all.slice(0, 1);
}
