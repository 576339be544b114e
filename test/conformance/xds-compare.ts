// Compares our resources with the suite's at rising levels of strictness (suites/README.md section 2).
import type { ResourceJson } from '../../discovery/dump.ts';

/** Resources of one proxy by type, as protojson. */
export interface ResourceSet {
  readonly clusters: readonly ResourceJson[];
  readonly listeners: readonly ResourceJson[];
  readonly routes: readonly ResourceJson[];
  readonly endpoints: readonly ResourceJson[];
}

/** The levels, the least strict first. A case passes a level when it passes all up to it. */
export const levels = ['names', 'cluster traits', 'filter chains', 'routes', 'whole'] as const;
export type Level = (typeof levels)[number];

/** A difference: which resource, at which level. */
export interface Difference {
  readonly level: Level;
  readonly what: string;
}

type Json = ResourceJson;

/** All differences, at every level. */
export function compareResources(want: ResourceSet, got: ResourceSet): readonly Difference[] {
  return [
    ...names('cluster', want.clusters, got.clusters, nameOf),
    ...names('listener', want.listeners, got.listeners, nameOf),
    ...names('route', want.routes, got.routes, nameOf),
    ...pairs(want.routes, got.routes, nameOf).flatMap(([name, a, b]) =>
      names(`virtual host of ${name}`, list(a, 'virtualHosts'), list(b, 'virtualHosts'), nameOf),
    ),
    ...aspects('cluster traits', 'cluster', want.clusters, got.clusters, nameOf, clusterTraits),
    ...aspects('filter chains', 'listener', want.listeners, got.listeners, nameOf, chainTraits),
    ...aspects('routes', 'route', want.routes, got.routes, nameOf, routeTraits),
    ...aspects('whole', 'cluster', want.clusters, got.clusters, nameOf, normal),
    ...aspects('whole', 'listener', want.listeners, got.listeners, nameOf, normal),
    ...aspects('whole', 'route', want.routes, got.routes, nameOf, normal),
    ...endpoints(want.endpoints, got.endpoints),
  ];
}

/** Cases have endpoints only where the oracle ran a full server: others say nothing of them. */
function endpoints(want: readonly Json[], got: readonly Json[]): readonly Difference[] {
  if (want.length === 0) return [];
  const clusterOf = (r: Json): string => text(r, 'clusterName');
  const extra = minus(got.map(clusterOf), want.map(clusterOf));
  return [
    ...aspects('whole', 'endpoint', want, got, clusterOf, wholeEndpoint),
    ...extra.map((name): Difference => ({ level: 'whole', what: `endpoint ${name}: extra` })),
  ];
}

function names(what: string, want: readonly Json[], got: readonly Json[], of: (r: Json) => string): Difference[] {
  const missing = minus(want.map(of), got.map(of));
  const extra = minus(got.map(of), want.map(of));
  return [
    ...missing.map((name): Difference => ({ level: 'names', what: `${what} missing: ${name}` })),
    ...extra.map((name): Difference => ({ level: 'names', what: `${what} extra: ${name}` })),
  ];
}

/** Multiset difference. */
function minus(a: readonly string[], b: readonly string[]): string[] {
  const left = [...b];
  return a.filter((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function pairs(want: readonly Json[], got: readonly Json[], of: (r: Json) => string): [string, Json, Json][] {
  const byName = new Map(got.map((r) => [of(r), r]));
  return want.flatMap((r): [string, Json, Json][] => {
    const other = byName.get(of(r));
    return other === undefined ? [] : [[of(r), r, other]];
  });
}

function aspects(
  level: Level,
  what: string,
  want: readonly Json[],
  got: readonly Json[],
  of: (r: Json) => string,
  aspect: (r: Json) => unknown,
): Difference[] {
  const present = pairs(want, got, of);
  const differing = present.flatMap(([name, a, b]): Difference[] => {
    const path = firstDifference(aspect(a), aspect(b), '');
    return path === undefined ? [] : [{ level, what: `${what} ${name}: ${path}` }];
  });
  const absent = minus(want.map(of), got.map(of));
  return [...differing, ...absent.map((name): Difference => ({ level, what: `${what} ${name}: missing` }))];
}

/** Path and values of the first difference of two JSON values, or undefined where they are equal. */
export function firstDifference(want: unknown, got: unknown, path: string): string | undefined {
  if (Object.is(want, got)) return undefined;
  if (Array.isArray(want) && Array.isArray(got)) {
    for (let i = 0; i < Math.max(want.length, got.length); i++) {
      const found = firstDifference(want[i], got[i], `${path}[${i}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(want) && isObject(got)) {
    for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) {
      const found = firstDifference(want[key], got[key], `${path}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return `${path}: want ${short(want)} got ${short(got)}`;
}

function short(value: unknown): string {
  const shown = JSON.stringify(value) ?? 'nothing';
  return shown.length > 160 ? `${shown.slice(0, 160)}…` : shown;
}

function clusterTraits(cluster: Json): unknown {
  const fields = [
    'type',
    'clusterType',
    'lbPolicy',
    'loadBalancingPolicy',
    'ringHashLbConfig',
    'maglevLbConfig',
    'leastRequestLbConfig',
    'roundRobinLbConfig',
    'circuitBreakers',
    'outlierDetection',
  ];
  const picked = Object.fromEntries(fields.map((field) => [field, normal(cluster[field])]));
  const matches = list(cluster, 'transportSocketMatches').map((match) => [
    text(match, 'name'),
    socketTraits(match['transportSocket']),
  ]);
  return { ...picked, transportSocket: socketTraits(cluster['transportSocket']), transportSocketMatches: matches };
}

function socketTraits(socket: unknown): unknown {
  if (!isObject(socket)) return undefined;
  const config = socket['typedConfig'] as Json | undefined;
  return { name: socket['name'], type: config?.['@type'], sni: config?.['sni'] };
}

function chainTraits(listener: Json): unknown {
  const chain = (c: Json): unknown => ({
    name: c['name'],
    match: normal(c['filterChainMatch']),
    filters: list(c, 'filters').map((f) => {
      const config = f['typedConfig'] as Json | undefined;
      return [f['name'], list(config ?? {}, 'httpFilters').map((h) => h['name'])];
    }),
    tls: isObject(c['transportSocket']),
  });
  const fallback = listener['defaultFilterChain'];
  return {
    chains: list(listener, 'filterChains').map(chain),
    fallback: isObject(fallback) ? chain(fallback) : undefined,
    listenerFilters: list(listener, 'listenerFilters').map((f) => [f['name'], f['filterDisabled']]),
    address: listener['address'],
    bindToPort: listener['bindToPort'],
  };
}

function routeTraits(config: Json): unknown {
  return list(config, 'virtualHosts').map((host) => ({
    name: host['name'],
    domains: host['domains'],
    routes: list(host, 'routes').map((route) =>
      normal(
        Object.fromEntries(
          Object.entries(route).filter(([key]) => /^(match|route|redirect|directResponse)$/.test(key)),
        ),
      ),
    ),
  }));
}

function wholeEndpoint(assignment: Json): unknown {
  const value = normal(assignment) as Json;
  const localities = list(value, 'endpoints').map((locality) => ({
    ...locality,
    lbEndpoints: sortBy(list(locality, 'lbEndpoints'), (e) => JSON.stringify(e)),
  }));
  return { ...value, endpoints: localities };
}

/**
 * Drops what the suite's README leaves out of comparisons, and orders what has no order: query parameters of a match.
 * Everything else keeps its order, virtual hosts, domains, routes, filters, filter chains and localities too.
 */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).flatMap(([key, field]): [string, unknown][] => {
    if (key === 'statPrefix' || key === 'altStatName') return [];
    if (key === 'filterMetadata' && isObject(field)) return metadataOf(field);
    if (key === 'queryParameters' && Array.isArray(field)) return [[key, sortBy(field as Json[], nameOf).map(normal)]];
    return [[key, normal(field)]];
  });
  const kept = entries.filter(
    ([key, field]) => !(key === 'metadata' && isObject(field) && Object.keys(field).length === 0),
  );
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function metadataOf(metadata: Json): [string, unknown][] {
  const { istio: _istio, ...rest } = metadata;
  return Object.keys(rest).length === 0 ? [] : [['filterMetadata', normal(rest)]];
}

function sortBy<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

function list(resource: Json, field: string): readonly Json[] {
  const value = resource[field];
  return Array.isArray(value) ? (value as Json[]) : [];
}

function text(resource: Json, field: string): string {
  const value = resource[field];
  return typeof value === 'string' ? value : '';
}

function nameOf(resource: Json): string {
  return text(resource, 'name');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
