// Rules of the conditions of HTTP routes.
import type { StringMatch } from '../kinds/common.ts';
import type { HttpMatch, HttpRoute } from '../kinds/virtual-service.ts';
import { each, type Findings, fine, invalid } from './finding.ts';
import { checkGatewayNames } from './gateway-names.ts';
import { checkHeaderName, isClaimName } from './http-headers.ts';
import { checkLabels, checkPortNumber, isNamespaceName } from './names.ts';
import { checkRegex } from './regex.ts';

/** Checks the conditions of a route. */
export function checkHttpMatches(route: HttpRoute, path: string): Findings {
  return each(route.match, `${path}.match`, (match, at) => [
    ...checkHeaderMatches(match.headers, `${at}.headers`),
    ...checkHeaderMatches(match.withoutHeaders, `${at}.withoutHeaders`),
    ...Object.entries(match.queryParams ?? {}).flatMap(([name, value]) =>
      checkPattern(value, `${at}.queryParams.${name}`, 'queryParams'),
    ),
    ...checkPattern(match.uri, `${at}.uri`, 'uri'),
    ...checkNonEmpty(match.scheme, `${at}.scheme`, 'scheme'),
    ...checkNonEmpty(match.method, `${at}.method`, 'method'),
    ...checkNonEmpty(match.authority, `${at}.authority`, 'authority'),
    ...checkLabels(match.sourceLabels, `${at}.sourceLabels`),
    ...checkGatewayNames(match.gateways, `${at}.gateways`),
    ...(match.port === undefined || match.port === 0 ? fine : checkPortNumber(match.port, `${at}.port`)),
    ...checkSourceNamespace(match, at),
  ]);
}

/** Checks a regular expression in a string match, if there is one; `exact` and `prefix` may be empty. */
export function checkPattern(match: StringMatch | undefined, path: string, subject: string): Findings {
  if (match?.regex === undefined) return fine;
  if (match.regex === '') return invalid(`${path}.regex`, `${subject}: regex string match should not be empty`);
  return checkRegex(match.regex, `${path}.regex`, subject);
}

function checkNonEmpty(match: StringMatch | undefined, path: string, subject: string): Findings {
  if (match?.prefix === '') return invalid(`${path}.prefix`, `${subject}: prefix string match should not be empty`);
  return checkPattern(match, path, subject);
}

function checkHeaderMatches(headers: HttpMatch['headers'], path: string): Findings {
  return Object.entries(headers ?? {}).flatMap(([name, match]) => [
    ...(isClaimName(name) ? fine : checkHeaderName(name, `${path}.${name}`)),
    ...checkPattern(match, `${path}.${name}`, 'headers'),
  ]);
}

function checkSourceNamespace(match: HttpMatch, path: string): Findings {
  const { sourceNamespace } = match;
  if (sourceNamespace === undefined || sourceNamespace === '' || isNamespaceName(sourceNamespace)) return fine;
  return invalid(`${path}.sourceNamespace`, `sourceNamespace match ${sourceNamespace} is invalid`);
}
