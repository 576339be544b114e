// Values that AuthorizationPolicy compares with: addresses, ports, path templates, and attributes by name.
import { isIpAddress, isIpRange } from './addresses.ts';
import { each, type Findings, fine, invalid, missing } from './finding.ts';

/** Checks IP addresses and ranges. */
export function checkIps(values: readonly string[] | undefined, path: string): Findings {
  return each(values, path, (value, at) => {
    if (value.includes('/')) return isIpRange(value) ? fine : invalid(at, `bad CIDR range (${value})`);
    return isIpAddress(value) ? fine : invalid(at, `bad IP address (${value})`);
  });
}

/** Checks port numbers written as text. */
export function checkPorts(values: readonly string[] | undefined, path: string): Findings {
  return each(values, path, (value, at) =>
    /^[0-9]{1,10}$/.test(value) && Number(value) <= 65535 ? fine : invalid(at, `bad port (${value})`),
  );
}

/** Checks that no value is empty. */
export function checkNoEmpty(values: readonly string[] | undefined, path: string, what: string): Findings {
  return each(values, path, (value, at) =>
    value === '' ? missing(at, `empty value not allowed, found in ${what}`) : fine,
  );
}

/** One path segment, and the rest of a path (Envoy's URI template matcher). */
const anySegment = '{*}';
const anyRest = '{**}';

// What a segment of a template may hold beside an operator (Envoy's URI template matcher; RFC 3986, pchar).
const literal = /^[-a-zA-Z0-9._~%!$&'()+,;:@=]+$/;

/** Checks paths with `{*}` and `{**}`: braces hold nothing else, `{**}` comes once and last of them, no bare `*` beside. */
export function checkPathTemplates(paths: readonly string[] | undefined, path: string): Findings {
  return each(paths, path, (value, at) => {
    const segments = withoutSlashes(value).split('/');
    const isTemplate = value.includes(anySegment) || value.includes(anyRest);
    let afterRest = false;
    for (const segment of segments) {
      const operator = segment === anySegment || segment === anyRest;
      if (operator && afterRest) return invalid(at, `path ${value} has an operator after {**}, which must be the last`);
      if (!operator && /[{}]/.test(segment)) {
        return invalid(
          at,
          `invalid or unsupported path ${value}: it contains '{' or '}' beyond a supported path template`,
        );
      }
      if (!operator && isTemplate && !literal.test(segment)) {
        return invalid(at, `invalid or unsupported path ${value}: segment "${segment}" is not a literal`);
      }
      afterRest ||= segment === anyRest;
    }
    return fine;
  });
}

function withoutSlashes(path: string): string {
  let [start, end] = [0, path.length];
  while (path[start] === '/') start++;
  while (end > start && path[end - 1] === '/') end--;
  return path.slice(start, end);
}

/** Checks the values of a condition by its attribute, https://istio.io/latest/docs/reference/config/security/conditions/. */
export function checkCondition(key: string, values: readonly string[], path: string): Findings {
  if (values.length === 0) return fine;
  const own = ownCheck(key, values, path);
  return own ?? [...checkKey(key, path), ...checkNoEmpty(values, path, key)];
}

function ownCheck(key: string, values: readonly string[], path: string): Findings | undefined {
  if (key === 'source.ip' || key === 'remote.ip' || key === 'destination.ip') return checkIps(values, path);
  return key === 'destination.port' ? checkPorts(values, path) : undefined;
}

const plainAttributes: ReadonlySet<string> = new Set([
  'source.namespace',
  'source.principal',
  'source.trustDomain',
  'source.serviceAccount',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'connection.sni',
]);
const mapAttributes = ['request.headers', 'request.auth.claims', 'experimental.envoy.filters.'];

function checkKey(key: string, path: string): Findings {
  if (plainAttributes.has(key)) return fine;
  if (!mapAttributes.some((prefix) => key.startsWith(prefix))) return invalid(path, `unknown attribute: ${key}`);
  // `name[key]`, as in request.headers[x-token].
  const open = key.indexOf('[');
  const wellFormed = open > 0 && key.endsWith(']') && key.length - open > 2;
  return wellFormed ? fine : invalid(path, `bad key (${key}): should have format a[b]`);
}
