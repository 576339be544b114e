// Routes of sidecars: a configuration by port, by `host:port` for sniffed ports, for sockets and the explicit proxy.
import type { Read } from '../../graph/graph.ts';
import { type EgressListener, sidecarScope } from '../../model/sidecar-scope.ts';
import type { ProxySettings } from '../../proxy/proxy.ts';
import type { EncodedResource } from '../../resource.ts';
import { defineTranslator, resourceQuery } from '../translator.ts';
import { proxyHeaders } from './proxy-config.ts';
import { catchAllFrame } from './route/catch-all.ts';
import { emptyRouteConfiguration, routeConfiguration } from './route/route-configuration.ts';
import { virtualHostFrame } from './route/virtual-host.ts';
import { type RouteClient, virtualHostPlan } from './route/virtual-host-plan.ts';

/** Routes of sidecars. They are asked for by name only; every name gets an answer. */
export const sidecarRoutes = defineTranslator('sidecar-routes', {
  type: 'route',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'ipFamily', 'settings'],
  list: () => new Map(),
  find: (_read, client, name) => ({ query: routes, key: { ...client, name } }) as never,
});

/** What a route configuration is called when it is for the explicit proxy. */
export const httpProxyRoute = 'http_proxy';

interface RouteKey extends Omit<RouteClient, 'settings'> {
  readonly settings: ProxySettings;
  readonly name: string;
}

const routes = resourceQuery<RouteKey>(
  'sidecar-route',
  ({ name, ...client }) => JSON.stringify([name, ...Object.entries(client).sort(([a], [b]) => (a < b ? -1 : 1))]),
  (read, { name, ...client }) => configurationOf(read, client, name),
);

function configurationOf(read: Read, client: Omit<RouteKey, 'name'>, name: string): EncodedResource {
  const wanted = parseName(name);
  if (wanted === undefined) return emptyRouteConfiguration(name);
  const scope = read(sidecarScope, client);
  const { attemptCount } = read(proxyHeaders, client.settings.proxyConfig ?? '');
  const listener = listenerFor(scope.egress, wanted);
  const egress = scope.egress[listener];
  const port = egress?.port?.protocol.toUpperCase() === 'HTTP_PROXY' ? 0 : wanted.port;
  const hosts = egress === undefined ? [] : read(virtualHostPlan, { ...client, listener, port, attemptCount });
  if (wanted.sniffed) {
    // The connection is known to be for this service, whatever Host says.
    const own = hosts.filter((host) => host.name === name).map((host) => ({ ...host, domains: ['*'] }));
    return routeConfiguration(
      name,
      own.map((host) => read(virtualHostFrame, host)),
    );
  }
  const catchesAll = hosts.some(({ domains }) => domains.includes('*'));
  return routeConfiguration(name, [
    ...hosts.map((host) => read(virtualHostFrame, host)),
    ...(catchesAll ? [] : [catchAllFrame(scope.outboundTrafficPolicy, attemptCount)]),
  ]);
}

interface Wanted {
  readonly port: number;
  readonly sniffed: boolean;
  /** Socket path, or empty. */
  readonly bind: string;
}

function parseName(name: string): Wanted | undefined {
  if (name === httpProxyRoute) return { port: 0, sniffed: false, bind: '' };
  if (name.startsWith('unix://')) return { port: 0, sniffed: false, bind: name };
  const colon = name.lastIndexOf(':');
  const digits = name.slice(colon + 1);
  if (!/^\d{1,5}$/u.test(digits)) return undefined;
  return { port: Number(digits), sniffed: colon >= 0, bind: '' };
}

/** The egress listener of a port: the one that names it, else the first without a port. */
function listenerFor(egress: readonly EgressListener[], { port, bind }: Wanted): number {
  return egress.findIndex((listener) => {
    if (listener.port === undefined) return true;
    return listener.port.number === port && (port !== 0 || listener.bind === bind);
  });
}
