// VirtualServices as the translators see them: full host names, resolved gateways, delegates put in their place.

import { type ExportTo, parseExportTo } from '../../config/export-to.ts';
import { meshGateway, resolveGatewayName, withFullGateways } from '../../config/gateway-name.ts';
import type { ObjectOf } from '../../config/kinds/kinds.ts';
import type {
  Destination,
  HttpMatch,
  HttpRoute,
  L4Match,
  RouteDestination,
  TcpRoute,
  TlsMatch,
  TlsRoute,
} from '../../config/kinds/virtual-service.ts';
import { compareText } from '../../config/object.ts';
import { delegationsOf, mergeDelegate } from '../../config/relations/delegate.ts';
import { collection, index } from '../graph/collect.ts';
import type { Read } from '../graph/graph.ts';
import { defaultExportTo } from './export.ts';
import { fqdnOf } from './hostname.ts';
import { ingressVirtualServices } from './ingress-routes.ts';
import { objectCollection, objectOf } from './object-collection.ts';
import { ruleDomain } from './objects.ts';
import { type PathSemantics, pathSemanticsOf } from './route-semantics.ts';

/** One VirtualService. Destination hosts and hosts are full names, gateways `namespace/name` or `mesh`. */
export interface VirtualRoutes {
  /** Its key in `virtualServices`, which begins with its namespace and `/`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
  /** Lower-case full names and wildcards, as written otherwise; addresses and CIDRs too. */
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
  readonly exportTo: ExportTo;
  readonly paths: PathSemantics;
  readonly http: readonly HttpRoute[];
  readonly tls: readonly TlsRoute[];
  readonly tcp: readonly TcpRoute[];
}

/**
 * VirtualServices by `namespace/name`, those that Ingresses stand for by a key that no object has. Those without hosts
 * are delegates and stand only inside others.
 */
export const virtualServices = objectCollection<'VirtualService', VirtualRoutes>(
  'virtual-services',
  ['VirtualService'],
  (read, source, object, from) => {
    const hosts = object.spec.hosts ?? [];
    const key = from === ingressVirtualServices ? `${object.metadata.namespace}/Ingress|${source}` : source;
    return hosts.length === 0 ? new Map() : new Map([[key, normalise(read, key, object)]]);
  },
  [ingressVirtualServices],
);

/**
 * VirtualServices without their destinations and actions: what decides where their routes apply. Weights, timeouts and
 * headers change more often than hosts do. A collection, since it is kept eagerly: where it stays the same, nothing that
 * rests on it is even marked, and every proxy's clusters do.
 */
export const routeShape = collection<VirtualRoutes, VirtualRoutes>(
  'route-shape',
  [virtualServices],
  (_read, key, routes) => {
    const http = routes.http.map(({ match }) => (match === undefined ? {} : { match: match.map(conditionsOf) }));
    const streams = (list: readonly (TlsRoute | TcpRoute)[]) =>
      list.map(({ match }) => (match === undefined ? {} : { match: match.map(conditionsOf) }));
    return new Map([[key, { ...routes, http, tls: streams(routes.tls), tcp: streams(routes.tcp) }]]);
  },
);

function conditionsOf({ port, gateways, sourceLabels, sourceNamespace }: HttpMatch | L4Match | TlsMatch) {
  return {
    ...(port === undefined ? {} : { port }),
    ...(gateways === undefined ? {} : { gateways }),
    ...(sourceLabels === undefined ? {} : { sourceLabels }),
    ...(sourceNamespace === undefined ? {} : { sourceNamespace }),
  };
}

/** Where a route may send what clients of some namespaces send. */
export interface RouteTarget {
  readonly host: string;
  /** 0 where the route names none. */
  readonly port: number;
  /** Namespaces of the clients that can take the route; absent for all. */
  readonly sources?: readonly string[];
}

/** The destinations of each VirtualService, mirrors among them; a collection for the same reason. */
export const routeTargets = collection<VirtualRoutes, readonly RouteTarget[]>(
  'route-targets',
  [virtualServices],
  (_read, key, { http, tls, tcp }) => {
    const ofHttp = http.flatMap(({ match, route = [], mirror, mirrors = [] }) =>
      targetsOf(match, [...route.map(destinationOf), mirror, ...mirrors.map(destinationOf)]),
    );
    const ofStreams = [...tls, ...tcp].flatMap(({ match, route = [] }) => targetsOf(match, route.map(destinationOf)));
    return new Map([[key, [...ofHttp, ...ofStreams]]]);
  },
);

function destinationOf({ destination }: { readonly destination?: Destination }): Destination | undefined {
  return destination;
}

function targetsOf(
  matches: readonly Pick<L4Match, 'sourceNamespace'>[] = [],
  destinations: readonly (Destination | undefined)[],
): readonly RouteTarget[] {
  const sources = matches.map(({ sourceNamespace = '' }) => sourceNamespace);
  const any = sources.length === 0 || sources.includes('');
  return destinations.flatMap((destination) => {
    const { host = '', port } = destination ?? {};
    return host === '' ? [] : [{ host, port: port?.number ?? 0, ...(any ? {} : { sources }) }];
  });
}

/** Collections of this file, for the graph. */
export const routeCollections = [virtualServices, routeShape, routeTargets];

/** Keys by `gateway|namespace of the VirtualService`: the lists from which scopes choose. */
export const routesByGatewayAndNamespace = index('routes-by-gateway-and-namespace', virtualServices, (item) =>
  item.gateways.map((gateway) => `${gateway}|${item.namespace}`),
);

/** Keys by gateway. */
export const routesByGateway = index('routes-by-gateway', virtualServices, (item) => item.gateways);

/** Keys by `gateway|host`, for finding the routes of one host without listing all. */
export const routesByHost = index('routes-by-host', virtualServices, (item) =>
  item.gateways.flatMap((gateway) => item.hosts.map((host) => `${gateway}|${host}`)),
);

/** Keys of VirtualServices with TLS or TCP routes, by `gateway|host`: few, so that other listeners need not ask. */
export const streamRoutesByHost = index('stream-routes-by-host', virtualServices, (item) =>
  item.tls.length + item.tcp.length === 0
    ? []
    : item.gateways.flatMap((gateway) => item.hosts.map((host) => `${gateway}|${host}`)),
);

/**
 * Istio's order among VirtualServices that a namespace sees: those private to it, those exported to it by name, the
 * public ones; within each the oldest first, then by name and namespace.
 */
export function compareRoutes(namespace: string): (a: VirtualRoutes, b: VirtualRoutes) => number {
  return (a, b) => rankOf(a, namespace) - rankOf(b, namespace) || compareRouteAge(a, b);
}

/** The oldest first, then by name, then by namespace. */
export function compareRouteAge(a: VirtualRoutes, b: VirtualRoutes): number {
  return (
    compareText(a.creationTimestamp, b.creationTimestamp) ||
    compareText(a.name, b.name) ||
    compareText(a.namespace, b.namespace)
  );
}

function rankOf(routes: VirtualRoutes, namespace: string): number {
  if (routes.exportTo === 'everyone') return 2;
  return routes.exportTo.length === 1 && routes.namespace === namespace ? 0 : 1;
}

function normalise(read: Read, key: string, object: ObjectOf<'VirtualService'>): VirtualRoutes {
  const { metadata, spec } = object;
  const { namespace } = metadata;
  const domain = read(ruleDomain, 'facts');
  const names = new Names(namespace, domain);
  const written = spec.gateways ?? [];
  const exported = spec.exportTo ?? [];
  return {
    key,
    name: metadata.name,
    namespace,
    creationTimestamp: metadata.creationTimestamp ?? '',
    hosts: [...new Set((spec.hosts ?? []).map((host) => fqdnOf(host, namespace, domain)))],
    gateways:
      written.length === 0 ? [meshGateway] : [...new Set(written.map((name) => resolveGatewayName(name, namespace)))],
    exportTo: exportToOf(read, exported, namespace),
    paths: pathSemanticsOf(metadata),
    http: httpOf(read, names, object),
    tls: (spec.tls ?? []).map((route) => names.stream(route)),
    tcp: (spec.tcp ?? []).map((route) => names.stream(route)),
  };
}

/** The HTTP routes, with those of delegates in place of the routes that delegate. */
function httpOf(read: Read, names: Names, object: ObjectOf<'VirtualService'>): readonly HttpRoute[] {
  const find = (key: string) => objectOf(read, 'VirtualService', key);
  const delegations = delegationsOf(object, find, read(defaultExportTo, 'virtualService'));
  return (object.spec.http ?? []).flatMap((route, index) => {
    const root = names.http(route);
    const delegation = delegations[index];
    if (delegation === undefined) return [root];
    if ('refusal' in delegation) return [];
    const { spec, metadata } = delegation.delegate;
    const leafNames = new Names(metadata.namespace, read(ruleDomain, 'facts'));
    return (spec.http ?? []).flatMap((leaf) => mergeDelegate(root, leafNames.http(leaf)) ?? []);
  });
}

function exportToOf(read: Read, written: readonly string[], namespace: string): ExportTo {
  return parseExportTo(written.length === 0 ? read(defaultExportTo, 'virtualService') : written, namespace);
}

/** Completes the names in rules of one namespace. */
class Names {
  readonly #namespace: string;
  readonly #domain: string;

  constructor(namespace: string, domain: string) {
    this.#namespace = namespace;
    this.#domain = domain;
  }

  http(route: HttpRoute): HttpRoute {
    const { match, route: destinations, mirror, mirrors } = route;
    return {
      ...route,
      ...(match === undefined ? {} : { match: match.map((one) => withFullGateways(one, this.#namespace)) }),
      ...(destinations === undefined ? {} : { route: destinations.map((one) => this.#weighted(one)) }),
      ...(mirror === undefined ? {} : { mirror: this.#destination(mirror) }),
      ...(mirrors === undefined ? {} : { mirrors: mirrors.map((one) => this.#weighted(one)) }),
    };
  }

  stream<R extends TlsRoute | TcpRoute>(route: R): R {
    const { match, route: destinations } = route as TlsRoute;
    return {
      ...route,
      ...(match === undefined
        ? {}
        : { match: match.map((one) => withFullGateways<TlsMatch | L4Match>(one, this.#namespace)) }),
      ...(destinations === undefined
        ? {}
        : { route: destinations.map((one) => this.#weighted<RouteDestination>(one)) }),
    };
  }

  #weighted<D extends { readonly destination?: Destination }>(one: D): D {
    return one.destination === undefined ? one : { ...one, destination: this.#destination(one.destination) };
  }

  #destination(destination: Destination): Destination {
    return { ...destination, host: fqdnOf(destination.host ?? '', this.#namespace, this.#domain) };
  }
}
