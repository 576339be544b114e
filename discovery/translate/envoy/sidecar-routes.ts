// Routes of sidecars: a configuration by port, by `host:port` for sniffed ports, for sockets and the explicit proxy.
import type { Read } from '../../graph/graph.ts';
import type { AddressClient } from '../../model/client-addresses.ts';
import { type ClientView, clientView, clientViewId } from '../../model/client-view.ts';
import { type EgressListener, sidecarScope } from '../../model/sidecar-scope.ts';
import type { EncodedResource } from '../../resource.ts';
import { defineTranslator, refTo, resourceQuery } from '../translator.ts';
import { proxyHeaders } from './proxy-config.ts';
import { catchAllFrame } from './route/catch-all.ts';
import { emptyRouteConfiguration, routeConfiguration } from './route/route-configuration.ts';
import { virtualHostFrame, virtualHostKey } from './route/virtual-host.ts';
import { virtualHostBlockBytes, virtualHostBlocks } from './route/virtual-host-block.ts';
import { virtualHostPlan } from './route/virtual-host-plan.ts';

/** Routes of sidecars. They are asked for by name only; every name gets an answer. */
export const sidecarRoutes = defineTranslator('sidecar-routes', {
  type: 'route',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'ipFamily', 'settings'],
  list: () => new Map(),
  find: (read, client, name) => {
    const { dnsDomain, ipFamily, settings } = client;
    const dns = settings.dnsCapture === true ? { dnsCapture: true } : {};
    const { attemptCount } = read(proxyHeaders, settings.proxyConfig ?? '');
    return refTo(routes, { ...clientView(read, client), dnsDomain, ipFamily, settings: dns, attemptCount, name });
  },
});

/** What a route configuration is called when it is for the explicit proxy. */
export const httpProxyRoute = 'http_proxy';

interface RouteKey extends ClientView, AddressClient {
  readonly dnsDomain: string;
  readonly attemptCount: boolean;
  readonly name: string;
}

const routes = resourceQuery<RouteKey>(
  'sidecar-route',
  (key) => {
    const { name, dnsDomain, ipFamily, settings, attemptCount } = key;
    return `${name}|${clientViewId(key)}|${dnsDomain}|${ipFamily}|${settings.dnsCapture === true}|${attemptCount}`;
  },
  (read, key) => configurationOf(read, key),
);

function configurationOf(read: Read, { name, ...client }: RouteKey): EncodedResource {
  const wanted = parseName(name);
  if (wanted === undefined) return emptyRouteConfiguration(name);
  const scope = read(sidecarScope, client.view);
  const listener = listenerFor(scope.egress, wanted);
  const egress = scope.egress[listener];
  const port = egress?.port?.protocol.toUpperCase() === 'HTTP_PROXY' ? 0 : wanted.port;
  const plan = { ...client, listener, port };
  if (wanted.sniffed) {
    const hosts = egress === undefined ? [] : read(virtualHostPlan, plan);
    // The connection is known to be for this service, whatever Host says.
    const own = hosts.find((host) => host.name === name);
    const frames = own === undefined ? [] : [read(virtualHostFrame, virtualHostKey({ ...own, domains: ['*'] }))];
    return routeConfiguration(name, frames);
  }
  const blocks = egress === undefined ? [] : read(virtualHostBlocks, plan);
  const catchesAll = blocks.some(({ hosts }) => hosts.some(({ domains }) => domains.includes('*')));
  return routeConfiguration(name, [
    ...blocks.map((block) => read(virtualHostBlockBytes, block)),
    ...(catchesAll ? [] : [catchAllFrame(scope.outboundTrafficPolicy, client.attemptCount)]),
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
