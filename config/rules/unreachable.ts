// Finds routes and conditions that never take effect, because earlier ones take everything that they would.
import type { HttpMatch, HttpRoute, VirtualService } from '../kinds/virtual-service.ts';
import { type Findings, fine, shadowed } from './finding.ts';

interface Route {
  readonly match?: readonly unknown[];
  readonly name?: string;
}

/** Warns of routes that an earlier route shadows. */
export function checkUnreachable(object: VirtualService): Findings {
  const { http, tls, tcp } = object.spec;
  return [
    ...repeated(http ?? [], 'spec.http', true),
    ...overlapping(http ?? [], 'spec.http'),
    ...repeated(tls ?? [], 'spec.tls', false),
    ...repeated(tcp ?? [], 'spec.tcp', true),
  ];
}

function repeated(routes: readonly Route[], path: string, mayMatchAll: boolean): Findings {
  const seen = new Map<string, number>();
  const found: Findings[] = [];
  let matchesAll = false;
  for (const [index, route] of routes.entries()) {
    const at = `${path}[${index}]`;
    const matches = route.match ?? [];
    if (matches.length === 0) {
      if (matchesAll && mayMatchAll)
        found.push(shadowed(at, `${named(route, index)} not used (only the last rule can have no matches)`));
      matchesAll = true;
      continue;
    }
    let known = 0;
    for (const [position, match] of matches.entries()) {
      const key = keyOf(match);
      const earlier = seen.get(key);
      if (earlier === undefined) {
        seen.set(key, index);
        continue;
      }
      known++;
      const message = `${named(route, index)} match #${position} is not used (duplicate/overlapping match in rule #${earlier})`;
      found.push(shadowed(`${at}.match[${position}]`, message));
    }
    if (known === matches.length) {
      found.push(shadowed(at, `${named(route, index)} not used (all matches used by prior rules)`));
    }
  }
  return found.flat();
}

function named(route: Route, index: number): string {
  return `virtualService rule ${route.name === undefined || route.name === '' ? `#${index}` : `"${route.name}"`}`;
}

/** Two conditions are the same if they say the same, whatever they are called and in whatever order it stands. */
function keyOf(match: unknown): string {
  return JSON.stringify(match, (key, value: unknown) => {
    if (key === 'name' && typeof value === 'string') return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

interface Placed {
  readonly match: HttpMatch;
  readonly route: HttpRoute;
  readonly index: number;
  readonly position: number;
}

/** Pairs compared at most, so that a large object stays cheap. */
const mostMatches = 500;

function overlapping(routes: readonly HttpRoute[], path: string): Findings {
  const placed = routes
    .flatMap((route, index) =>
      (route.match ?? []).map((match, position): Placed => ({ match, route, index, position })),
    )
    .filter(({ match }) => match.uri?.prefix !== undefined)
    .slice(0, mostMatches);
  return placed.flatMap((later, order) => {
    const earlier = placed.slice(0, order).find((candidate) => covers(candidate.match, later.match));
    if (earlier === undefined || keyOf(earlier.match) === keyOf(later.match)) return fine;
    const message =
      `${named(later.route, later.index)} match #${later.position} of prefix ${later.match.uri?.prefix} is not used ` +
      `(duplicate/overlapping match in rule #${earlier.index} of prefix ${earlier.match.uri?.prefix})`;
    return shadowed(`${path}[${later.index}].match[${later.position}]`, message);
  });
}

/** Whether every request that `inner` takes is one that `outer` takes; both compare the path with a prefix. */
function covers(outer: HttpMatch, inner: HttpMatch): boolean {
  if (outer.ignoreUriCase !== inner.ignoreUriCase) return false;
  if (!(inner.uri?.prefix ?? '').startsWith(outer.uri?.prefix ?? '')) return false;
  const { uri: _uri, name: _name, statPrefix: _statPrefix, headers, queryParams, sourceLabels, ...rest } = outer;
  return (
    Object.entries(rest)
      .filter(([, value]) => !isEmpty(value))
      .every(([field, value]) => keyOf(value) === keyOf(inner[field as keyof HttpMatch])) &&
    within(headers, inner.headers) &&
    within(queryParams, inner.queryParams) &&
    within(sourceLabels, inner.sourceLabels)
  );
}

/** An empty exact match asks for nothing. */
function isEmpty(value: unknown): boolean {
  return keyOf(value) === '{"exact":""}';
}

function within(
  outer: Readonly<Record<string, unknown>> | undefined,
  inner: Readonly<Record<string, unknown>> | undefined,
): boolean {
  return Object.entries(outer ?? {}).every(([key, value]) => keyOf(value) === keyOf(inner?.[key]));
}
