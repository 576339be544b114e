// Rules of HTTP headers: their names, their values, and changes to them.
import type { HeaderOperations, Headers } from '../kinds/virtual-service.ts';
import { conflict, each, type Findings, fine, invalid } from './finding.ts';

// A token (RFC 9110, 5.6.2), or one of HTTP/2's pseudo-headers such as `:authority`.
const headerName = /^:?[-_A-Za-z0-9!#$%&'*+.^`|~]+$/;

/** Checks the name of a header. */
export function checkHeaderName(name: string, path: string): Findings {
  if (name === '') return invalid(path, 'header name cannot be empty');
  return headerName.test(name) ? fine : invalid(path, `header name ${name} is not a valid header name`);
}

/** Whether a header match is one of a claim of the request's token, `@request.auth.claims.group`. */
export function isClaimName(name: string): boolean {
  return /^@request\.auth\.claims[.[]/.test(name);
}

/** Checks changes to the headers of requests and responses. */
export function checkHeaders(headers: Headers | undefined, path: string): Findings {
  return [
    ...checkOperations(headers?.request, `${path}.request`, true),
    ...checkOperations(headers?.response, `${path}.response`, false),
  ];
}

/** The host of a request can be set at one place only. */
export function checkAuthority(rewritten: string | undefined, headers: Headers | undefined, path: string): Findings {
  const { set, add } = headers?.request ?? {};
  const values = [
    rewritten ?? '',
    ...[set, add].flatMap((map) =>
      Object.entries(map ?? {})
        .filter(([name]) => isAuthority(name))
        .map(([, value]) => value),
    ),
  ].filter((value) => value !== '');
  const [first, second] = values;
  if (second === undefined) return fine;
  return conflict(
    path,
    `authority header cannot be set multiple times: have "${first}", attempting to set "${second}"`,
  );
}

function isAuthority(name: string): boolean {
  return [':authority', 'host'].includes(name.toLowerCase());
}

function checkOperations(operations: HeaderOperations | undefined, path: string, ofRequest: boolean): Findings {
  const checkMap = (map: Readonly<Record<string, string>> | undefined, at: string) =>
    Object.entries(map ?? {}).flatMap(([name, value]) => [
      ...checkChangedName(name, `${at}.${name}`, ofRequest),
      ...checkHeaderValue(value, `${at}.${name}`),
    ]);
  return [
    ...checkMap(operations?.set, `${path}.set`),
    ...checkMap(operations?.add, `${path}.add`),
    ...each(operations?.remove, `${path}.remove`, (name, at) => checkChangedName(name, at, false)),
  ];
}

function checkChangedName(name: string, path: string, mayBeAuthority: boolean): Findings {
  if (name === '') return invalid(path, 'header name cannot be empty');
  if (mayBeAuthority && isAuthority(name)) return fine;
  if (name.startsWith(':')) return invalid(path, `invalid header "${name}": header cannot have ":" prefix`);
  return name.toLowerCase() === 'host' ? invalid(path, `invalid header "${name}": cannot set Host header`) : fine;
}

/** Envoy reads `%NAME%` in values; a single `%` would make it refuse the route. */
function checkHeaderValue(value: string, path: string): Findings {
  const signs = value.split('%').length - 1;
  if (signs % 2 === 0) return fine;
  return invalid(path, 'single % not allowed; write %% for a percent sign, or a variable between two');
}
