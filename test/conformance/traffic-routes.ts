// Which virtual host and which route of a route configuration a request takes.
import { RE2JS } from '@bufbuild/re2';
import type { ResourceJson } from '../../discovery/dump.ts';
import { list, member, nameOf, text, texts } from './traffic-json.ts';

/** A request as routes see it. */
export interface RoutedCall {
  /** With its query string. */
  readonly path: string;
  readonly scheme: 'http' | 'https';
  readonly hostHeader?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

/** The virtual host of a Host header: an exact domain, else the longest suffix, else the longest prefix, else `*`. */
export function chooseVirtualHost(config: ResourceJson, hostHeader: string): ResourceJson | undefined {
  const host = config['ignorePortInHostMatching'] === true ? hostHeader.replace(/:\d+$/, '') : hostHeader;
  const ranked = list(config, 'virtualHosts').map((virtualHost) => ({
    virtualHost,
    rank: Math.max(...texts(virtualHost, 'domains').map((domain) => rankOfDomain(domain, host)), -1),
  }));
  const highest = Math.max(...ranked.map(({ rank }) => rank), -1);
  return highest < 0 ? undefined : ranked.find(({ rank }) => rank === highest)?.virtualHost;
}

/** Kinds of domain lie further apart than names are long. */
const kindOfDomain = { exact: 3_000, suffix: 2_000, prefix: 1_000, any: 0, none: -1 } as const;

function rankOfDomain(domain: string, host: string): number {
  if (domain === host) return kindOfDomain.exact;
  if (domain === '*') return kindOfDomain.any;
  // The star stands for at least one character.
  if (host.length < domain.length) return kindOfDomain.none;
  if (domain.startsWith('*') && host.endsWith(domain.slice(1))) return kindOfDomain.suffix + domain.length;
  if (domain.endsWith('*') && host.startsWith(domain.slice(0, -1))) return kindOfDomain.prefix + domain.length;
  return kindOfDomain.none;
}

/** Whether a route takes a request; `strict` compares as Envoy does, without it by Istio's simulator: only the path. */
export function routeMatches(match: ResourceJson, call: RoutedCall, strict: boolean): boolean {
  if (!strict) return pathMatchesLoosely(match, call.path);
  const [path = '', ...query] = call.path.split('?');
  const parameters = new URLSearchParams(query.join('?'));
  return (
    pathMatches(match, path) &&
    list(match, 'headers').every((header) => headerMatches(header, call)) &&
    list(match, 'queryParameters').every((parameter) =>
      valueMatches(parameter, parameters.get(nameOf(parameter)) ?? undefined),
    )
  );
}

function pathMatchesLoosely(match: ResourceJson, path: string): boolean {
  if (match['path'] !== undefined) return path === match['path'];
  if (match['safeRegex'] !== undefined) return RE2JS.compile(text(member(match, 'safeRegex'), 'regex')).test(path);
  if (match['connectMatcher'] !== undefined) return false;
  return path.startsWith(text(match, 'prefix') || text(match, 'pathSeparatedPrefix'));
}

function pathMatches(match: ResourceJson, path: string): boolean {
  const folded = (value: string) => (match['caseSensitive'] === false ? value.toLowerCase() : value);
  const given = folded(path);
  if (match['path'] !== undefined) return given === folded(text(match, 'path'));
  if (match['safeRegex'] !== undefined) return regexMatches(member(match, 'safeRegex'), path);
  if (match['connectMatcher'] !== undefined) return false;
  if (match['pathSeparatedPrefix'] !== undefined) {
    const prefix = folded(text(match, 'pathSeparatedPrefix'));
    return given === prefix || given.startsWith(`${prefix}/`);
  }
  return given.startsWith(folded(text(match, 'prefix')));
}

/** A pattern of Envoy's, which takes in the whole value. */
function regexMatches(matcher: ResourceJson, value: string): boolean {
  return RE2JS.compile(text(matcher, 'regex')).matches(value);
}

function headerMatches(matcher: ResourceJson, call: RoutedCall): boolean {
  const found = headerOf(nameOf(matcher).toLowerCase(), call);
  const value = found === undefined && matcher['treatMissingHeaderAsEmpty'] === true ? '' : found;
  const present = matcher['presentMatch'] ?? (matcher['stringMatch'] === undefined ? true : undefined);
  const inverted = matcher['invertMatch'] === true;
  if (present !== undefined) return ((value !== undefined) === present) !== inverted;
  return value !== undefined && valueMatches(matcher, value) !== inverted;
}

function headerOf(name: string, call: RoutedCall): string | undefined {
  const given = Object.entries(call.headers ?? {})
    .find(([key]) => key.toLowerCase() === name)?.[1]
    .join(',');
  if (given !== undefined) return given;
  if (name === ':authority') return call.hostHeader;
  if (name === ':scheme') return call.scheme;
  if (name === ':path') return call.path;
  return name === ':method' ? 'GET' : undefined;
}

/** Evaluates the matcher of a value that may be absent; a matcher that asks for nothing asks for presence. */
function valueMatches(matcher: ResourceJson, value: string | undefined): boolean {
  if (matcher['presentMatch'] === false) return value === undefined;
  if (value === undefined) return false;
  return matcher['stringMatch'] === undefined || stringMatches(member(matcher, 'stringMatch'), value);
}

/** Evaluates envoy.type.matcher.v3.StringMatcher. */
function stringMatches(matcher: ResourceJson, value: string): boolean {
  const folded = (word: string) => (matcher['ignoreCase'] === true ? word.toLowerCase() : word);
  const given = folded(value);
  if (matcher['prefix'] !== undefined) return given.startsWith(folded(text(matcher, 'prefix')));
  if (matcher['suffix'] !== undefined) return given.endsWith(folded(text(matcher, 'suffix')));
  if (matcher['contains'] !== undefined) return given.includes(folded(text(matcher, 'contains')));
  if (matcher['safeRegex'] !== undefined) return regexMatches(member(matcher, 'safeRegex'), value);
  return given === folded(text(matcher, 'exact'));
}
