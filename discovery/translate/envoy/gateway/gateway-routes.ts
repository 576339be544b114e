// Route configurations of gateways: the VirtualServices of the servers that share one, joined by host.
import { create, toBinary } from '@bufbuild/protobuf';
import { compareText } from '../../../../config/object.ts';
import {
  type Route,
  VirtualHost_TlsRequirementType as TlsRequirement,
  VirtualHostSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { query, type Read } from '../../../graph/graph.ts';
import { type ClientView, clientView, clientViewId } from '../../../model/client-view.ts';
import { hostsFor, type MergedServer, mergedGateways } from '../../../model/gateways.ts';
import { compareSpecificity, hostWithin } from '../../../model/hostname.ts';
import { type VirtualRoutes, virtualServices } from '../../../model/route.ts';
import type { Facets } from '../../../proxy/proxy-class.ts';
import { encodeField } from '../../../resource.ts';
import { defineTranslator, refTo, resourceQuery } from '../../translator.ts';
import { proxyHeaders } from '../proxy-config.ts';
import { appliesTo, asksForSource, httpRoutes } from '../route/http-routes.ts';
import { takesEverything } from '../route/match.ts';
import { defaultRetries, resolution } from '../route/resolution.ts';
import { routeConfiguration } from '../route/route-configuration.ts';
import { contextOf } from '../route/virtual-host.ts';
import { routesOfGateway } from './stream-chains.ts';

const facets = ['namespace', 'labels', 'targets', 'settings'] as const;
type Client = Facets<(typeof facets)[number]>;

/** Routes of gateways, asked for by name; a name without servers does not exist. */
export const gatewayRoutes = defineTranslator('gateway-routes', {
  type: 'route',
  facets,
  list: () => new Map(),
  find: (read, client, name) => {
    const servers = serversOf(read, client, name);
    if (servers.length === 0) return undefined;
    const { attemptCount } = read(proxyHeaders, client.settings.proxyConfig ?? '');
    const { namespace, labels } = client;
    const key: RouteKey = {
      name,
      namespace,
      servers,
      attemptCount,
      labels,
      view: clientView(read, { namespace, labels, scope: '' }),
    };
    return refTo(gatewayRoute, key);
  },
});

interface RouteKey {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly servers: readonly RouteServer[];
  readonly attemptCount: boolean;
  readonly view: ClientView;
}

/** A server as far as its routes depend on it. */
interface RouteServer {
  readonly gateway: string;
  readonly number: number;
  readonly hosts: readonly string[];
  readonly tls: boolean;
  readonly redirects: boolean;
}

function serversOf(read: Read, { namespace, labels, targets }: Client, name: string): readonly RouteServer[] {
  return read(mergedGateways, { namespace, labels, targets })
    .flatMap((port) => port.servers)
    .filter((merged) => merged.routeName === name)
    .map(routeServer);
}

function routeServer({ gateway, number, hosts, server }: MergedServer): RouteServer {
  return { gateway, number, hosts, tls: server.tls !== undefined, redirects: server.tls?.httpsRedirect === true };
}

const gatewayRoute = resourceQuery<RouteKey>(
  'gateway-route',
  ({ name, servers, attemptCount, namespace, labels, view }) =>
    JSON.stringify([name, servers, attemptCount, namespace, labels, clientViewId(view)]),
  (read, key) => {
    const hosts = collapsed(hostsOf(read, key));
    const frames = hosts.map((host) => read(gatewayVirtualHost, host));
    const port = key.servers[0]?.number ?? 0;
    return routeConfiguration(key.name, frames.length === 0 ? [blackHole(port)] : frames);
  },
);

/** Routes of one VirtualService on one server. */
interface HostPart {
  readonly rules: string;
  readonly gateway: string;
  readonly port: number;
  readonly tls: boolean;
  readonly view: ClientView;
  /** The client itself, where the rules ask who it is. */
  readonly source?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
}

interface HostKey {
  readonly name: string;
  readonly domains: readonly string[];
  readonly parts: readonly HostPart[];
  readonly attemptCount: boolean;
  readonly redirects: boolean;
}

/** Virtual hosts by name: VirtualServices that give the same host add up, in the order of servers and rules. */
function hostsOf(read: Read, key: RouteKey): ReadonlyMap<string, HostKey> {
  const hosts = new Map<string, HostKey>();
  const { attemptCount } = key;
  for (const server of key.servers) {
    for (const rules of routesOfGateway(read, server.gateway, key.namespace)) {
      if (!hasRoutes(rules, key, server)) continue;
      const part = partOf(key, server, rules);
      for (const host of sharedHosts(hostsFor(server.hosts, rules.namespace), rules.hosts)) {
        const known = hosts.get(host);
        hosts.set(host, {
          name: known?.name ?? `${host}:${server.number}`,
          domains: [host],
          parts: [...(known?.parts ?? []), part],
          attemptCount,
          redirects: (known?.redirects ?? false) || server.redirects,
        });
      }
    }
    if (!server.redirects) continue;
    for (const written of server.hosts) {
      const host = written.slice(written.indexOf('/') + 1).toLowerCase();
      const known = hosts.get(host);
      hosts.set(host, {
        ...(known ?? { name: `${host}:${server.number}`, domains: [host], parts: [], attemptCount }),
        redirects: true,
      });
    }
  }
  return hosts;
}

/** Whether some rule is for this client: a VirtualService without any claims no host. */
function hasRoutes(rules: VirtualRoutes, { namespace, labels }: RouteKey, { number, gateway }: RouteServer): boolean {
  const client = { port: number, gateways: [gateway], namespace, labels };
  return rules.http.some(({ match = [] }) => match.length === 0 || match.some((one) => appliesTo(one, client)));
}

function partOf(key: RouteKey, server: RouteServer, rules: VirtualRoutes): HostPart {
  const { namespace, labels, view } = key;
  return {
    rules: rules.key,
    gateway: server.gateway,
    port: server.number,
    tls: server.tls,
    view,
    ...(asksForSource(rules) ? { source: { namespace, labels } } : {}),
  };
}

/** Of each pair of hosts that have names in common, the narrower one. */
function sharedHosts(server: readonly string[], rules: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const host of server.map((one) => one.toLowerCase())) {
    for (const wanted of rules) {
      if (hostWithin(host, wanted)) found.add(host);
      else if (hostWithin(wanted, host)) found.add(wanted);
    }
  }
  return [...found];
}

/** Hosts with the same routes become one virtual host with several domains, named after the most specific. */
function collapsed(hosts: ReadonlyMap<string, HostKey>): readonly HostKey[] {
  const byRoutes = new Map<string, HostKey>();
  for (const [host, key] of [...hosts].sort(([a], [b]) => compareSpecificity(a, b))) {
    const id = key.parts.length === 0 ? host : partsId(key);
    const first = byRoutes.get(id);
    byRoutes.set(id, first === undefined ? key : { ...first, domains: [...first.domains, ...key.domains] });
  }
  return [...byRoutes.values()].sort((a, b) => compareText(a.name, b.name));
}

function partsId({ parts, redirects, attemptCount }: HostKey): string {
  return JSON.stringify([parts.map(({ view, ...part }) => [part, clientViewId(view)]), redirects, attemptCount]);
}

const gatewayVirtualHost = query<HostKey, Uint8Array>(
  'gateway-virtual-host',
  (read, key) => {
    const { name, domains, parts, attemptCount, redirects } = key;
    const host = create(VirtualHostSchema, {
      name,
      domains: [...domains],
      routes: catchAllLast(parts.flatMap((part) => routesOf(read, part))),
      includeRequestAttemptCount: attemptCount,
      ...(redirects ? { requireTls: TlsRequirement.ALL } : {}),
    });
    return encodeField(2, toBinary(VirtualHostSchema, host));
  },
  { idOf: (key) => `${key.name}|${key.domains.join()}|${partsId(key)}`, equals: (a, b) => Buffer.compare(a, b) === 0 },
);

function routesOf(read: Read, part: HostPart): readonly Route[] {
  const rules = read(virtualServices, part.rules);
  if (rules === undefined) return [];
  const resolved = read(resolution, { ...part.view, rules: part.rules, port: part.port });
  const context = contextOf(
    { ...resolved, ...(part.source === undefined ? {} : { client: part.source }) },
    part.port,
    false,
    read(defaultRetries, 'mesh'),
  );
  return httpRoutes(rules, { ...context, tls: part.tls, gateways: [part.gateway] });
}

/** A route that takes everything would hide what another VirtualService adds behind it. */
function catchAllLast(routes: readonly Route[]): Route[] {
  const isLast = (route: Route): boolean => route.match !== undefined && takesEverything(route.match);
  return [...routes.filter((route) => !isLast(route)), ...routes.filter(isLast)];
}

/** Servers without routes answer 404 to everything. */
function blackHole(port: number): Uint8Array {
  return encodeField(
    2,
    toBinary(VirtualHostSchema, create(VirtualHostSchema, { name: `blackhole:${port}`, domains: ['*'] })),
  );
}
