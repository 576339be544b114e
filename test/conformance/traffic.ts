// Where a call goes by a proxy's listeners and routes: the algorithm of suites/README.md section 1, which models Envoy.
import type { ResourceJson } from '../../discovery/dump.ts';
import { chooseChain, hasListenerFilter } from './traffic-chains.ts';
import { list, member, nameOf, number, text } from './traffic-json.ts';
import { chooseVirtualHost, type RoutedCall, routeMatches } from './traffic-routes.ts';

/** A connection to a proxy and what is sent over it, as the suite `simulation` writes it. */
export interface Call {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly protocol?: 'http' | 'http2' | 'tcp';
  readonly tls: 'plaintext' | 'tls' | 'mtls';
  readonly alpn?: string;
  readonly sni?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly hostHeader?: string;
  readonly callMode?: 'gateway' | 'outbound' | 'inbound';
  readonly mtlsSecretConfigName?: string;
}

/** What became of a call; a field that is absent or empty was not reached or has no name. */
export interface Fate {
  readonly error?: string;
  readonly listenerMatched?: string;
  readonly filterChainMatched?: string;
  readonly routeConfigMatched?: string;
  readonly virtualHostMatched?: string;
  readonly routeMatched?: string;
  /** Empty where the route has weighted clusters, redirects or answers itself; `extra` tells then. */
  readonly clusterMatched?: string;
  /** What the stricter score looks at besides names. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** What a proxy was given, as protojson. */
export interface Given {
  readonly listeners: readonly ResourceJson[];
  readonly routes: readonly ResourceJson[];
}

/**
 * Follows a call through listener, filter chain, virtual host and route. `strictRoutes` compares all that a route
 * matches on; without it only the path, as Istio's own simulator does.
 */
export function follow(call: Call, given: Given, strictRoutes: boolean): Fate {
  if (call.tls === 'plaintext' && (call.alpn ?? '') !== '')
    return { error: 'invalid call, ALPN can only be sent in TLS requests' };
  const listener = chooseListener(call, given.listeners);
  if (listener === undefined) return { error: 'no listener matched' };
  const reached: Fate = { listenerMatched: nameOf(listener) };
  const chosen = chooseChain(listener, {
    ...call,
    alpn: visibleAlpn(call, listener),
    tlsSeen: hasListenerFilter(listener, 'envoy.filters.listener.tls_inspector', call.port),
  });
  if (typeof chosen === 'string') return { ...reached, error: chosen };
  const inChain: Fate = { ...reached, filterChainMatched: nameOf(chosen) };
  const tlsError = checkTls(call, chosen);
  if (tlsError !== undefined) return { ...inChain, error: tlsError };
  return throughFilters(call, chosen, given, inChain, strictRoutes);
}

function chooseListener(call: Call, listeners: readonly ResourceJson[]): ResourceJson | undefined {
  const named = (name: string) => listeners.find((listener) => nameOf(listener) === name);
  if (call.callMode === 'inbound') return named('virtualInbound');
  const at = (address: string) =>
    listeners.find((listener) => {
      const socket = member(member(listener, 'address'), 'socketAddress');
      return text(socket, 'address') === address && number(socket, 'portValue') === call.port;
    });
  return at(call.address) ?? at('0.0.0.0') ?? named('virtualOutbound');
}

/** The application protocol that the listener can know of: what TLS says, or what was read from plaintext. */
function visibleAlpn(call: Call, listener: ResourceJson): string | undefined {
  const inspects = (what: string) => hasListenerFilter(listener, `envoy.filters.listener.${what}`, call.port);
  if (call.tls === 'plaintext' && inspects('http_inspector')) {
    if (call.protocol === 'http') return 'http/1.1';
    if (call.protocol === 'http2') return 'h2c';
  }
  return inspects('tls_inspector') ? call.alpn : undefined;
}

function checkTls(call: Call, chain: ResourceJson): string | undefined {
  if (chain['transportSocket'] === undefined) return undefined;
  if (call.tls === 'plaintext') return 'invalid TLS';
  return requiresMtls(chain, call.mtlsSecretConfigName) === (call.tls === 'mtls') ? undefined : 'invalid mTLS';
}

function requiresMtls(chain: ResourceJson, secretName = 'default'): boolean {
  const tls = member(member(chain, 'transportSocket'), 'typedConfig');
  const [first] = list(member(tls, 'commonTlsContext'), 'tlsCertificateSdsSecretConfigs');
  return first !== undefined && nameOf(first) === secretName && tls['requireClientCertificate'] === true;
}

function throughFilters(call: Call, chain: ResourceJson, given: Given, reached: Fate, strictRoutes: boolean): Fate {
  const filters = list(chain, 'filters');
  const networkFilters = filters.map(nameOf);
  const configOf = (filter: string): ResourceJson | undefined => {
    const found = filters.find((f) => nameOf(f) === filter);
    return found === undefined ? undefined : member(found, 'typedConfig');
  };
  const http = configOf('envoy.filters.network.http_connection_manager');
  if (http !== undefined) {
    if (call.protocol === 'tcp' || (call.tls !== 'plaintext' && chain['transportSocket'] === undefined))
      return { ...reached, error: 'protocol error' };
    const extra = { networkFilters, httpFilters: list(http, 'httpFilters').map(nameOf) };
    return throughRoutes(call, http, given, reached, strictRoutes, extra);
  }
  const tcp = configOf('envoy.filters.network.tcp_proxy');
  if (tcp === undefined) return reached;
  const { weightedClusters } = weightsOf(tcp);
  const extra = { networkFilters, statPrefix: text(tcp, 'statPrefix'), weightedClusters };
  return { ...reached, clusterMatched: text(tcp, 'cluster'), extra };
}

function throughRoutes(
  call: Call,
  http: ResourceJson,
  given: Given,
  before: Fate,
  strictRoutes: boolean,
  filters: Readonly<Record<string, unknown>>,
): Fate {
  const name = text(member(http, 'rds'), 'routeConfigName');
  const config = name === '' ? member(http, 'routeConfig') : given.routes.find((routes) => nameOf(routes) === name);
  const inConfig: Fate = { ...before, routeConfigMatched: name };
  // Envoy waits for a configuration that never comes; the suite's worlds have all of theirs.
  if (config === undefined) return { ...inConfig, error: `no route configuration ${name}` };
  const virtualHost = chooseVirtualHost(config, call.hostHeader ?? '');
  if (virtualHost === undefined) return { ...inConfig, error: 'no virtual host matched' };
  const inHost: Fate = { ...inConfig, virtualHostMatched: nameOf(virtualHost) };
  if (call.tls === 'plaintext' && virtualHost['requireTls'] === 'ALL')
    return { ...inHost, error: 'tls required, sending 301' };
  const routed: RoutedCall = { ...call, scheme: call.tls === 'plaintext' ? 'http' : 'https' };
  const route = list(virtualHost, 'routes').find((r) => routeMatches(member(r, 'match'), routed, strictRoutes));
  if (route === undefined) return { ...inHost, error: 'no route matched' };
  const clusterMatched = text(member(route, 'route'), 'cluster');
  return { ...inHost, routeMatched: nameOf(route), clusterMatched, extra: { ...filters, ...actionOf(route) } };
}

/** What a route does besides naming a cluster, in the suite's own words. */
function actionOf(route: ResourceJson): Readonly<Record<string, unknown>> {
  if (route['redirect'] !== undefined) return { redirect: route['redirect'] };
  if (route['directResponse'] !== undefined)
    return { directResponse: number(member(route, 'directResponse'), 'status') };
  const action = member(route, 'route');
  return {
    ...weightsOf(action),
    timeout: goDuration(text(action, 'timeout')),
    prefixRewrite: text(action, 'prefixRewrite'),
    hostRewrite: text(action, 'hostRewriteLiteral'),
  };
}

function weightsOf(action: ResourceJson): { readonly weightedClusters?: readonly unknown[] } {
  const clusters = list(member(action, 'weightedClusters'), 'clusters');
  if (clusters.length === 0) return {};
  return { weightedClusters: clusters.map((c) => ({ name: nameOf(c), weight: number(c, 'weight') })) };
}

/** A protobuf duration (`90s`, `0.001s`) as Go writes it (`1m30s`, `1ms`); below a microsecond is not told apart. */
export function goDuration(duration: string): string {
  const micros = Math.round(Number.parseFloat(duration || '0') * 1e6);
  if (micros === 0) return '0s';
  if (micros < 1_000) return `${micros}µs`;
  if (micros < 1_000_000) return `${micros / 1_000}ms`;
  const minutes = Math.floor(micros / 60_000_000);
  const seconds = `${(micros - minutes * 60_000_000) / 1e6}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}
