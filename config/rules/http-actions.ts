// Rules of what HTTP routes do with a request: redirect, answer, rewrite, retry, fault, CORS, mirror.

import { parseDuration } from '../duration.ts';
import { grpcStatuses } from '../grpc-status.ts';
import type { Percent, StringMatch } from '../kinds/common.ts';
import type {
  CorsPolicy,
  FaultInjection,
  HttpDirectResponse,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  HttpRoute,
} from '../kinds/virtual-service.ts';
import { checkDestination } from './destination.ts';
import { checkDuration } from './durations.ts';
import { deprecated, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkHeaderName } from './http-headers.ts';
import { checkPortNumber } from './names.ts';
import { checkRegex } from './regex.ts';

/** Checks a redirect. */
export function checkRedirect(redirect: HttpRedirect | undefined, path: string): Findings {
  if (redirect === undefined) return fine;
  const { uri, authority, port, derivePort, scheme, redirectCode, prefixRewrite } = redirect;
  const empty = !uri && !authority && !scheme && !prefixRewrite && port === undefined && derivePort === undefined;
  const code = redirectCode ?? 0;
  return [
    ...(empty ? missing(path, 'redirect must specify URI, authority, scheme, or port') : fine),
    ...(code !== 0 && (code < 300 || code > 399)
      ? invalid(`${path}.redirectCode`, `${code} is not a valid redirect code, must be 3xx`)
      : fine),
    ...(scheme && scheme !== 'http' && scheme !== 'https'
      ? invalid(`${path}.scheme`, 'invalid redirect scheme, must be "http" or "https"')
      : fine),
    ...(port === undefined || port === 0 ? fine : checkPortNumber(port, `${path}.port`)),
  ];
}

const largestBody = 1_048_576;
const largeBody = 102_400;

/** Checks a fixed answer. Envoy keeps the body in the route, so it may not be large. */
export function checkDirectResponse(response: HttpDirectResponse | undefined, path: string): Findings {
  if (response === undefined) return fine;
  const { string, bytes } = response.body ?? {};
  const size = bytes === undefined ? Buffer.byteLength(string ?? '') : Buffer.byteLength(bytes, 'base64');
  const sizeFindings =
    size > largestBody
      ? invalid(`${path}.body`, `response body size cannot be larger than 1MB, got ${size} bytes`)
      : size > largeBody
        ? doubtful(
            `${path}.body`,
            `large response bodies, over ${largeBody} bytes, may impact control plane performance`,
          )
        : fine;
  return [...checkStatus(response.status, `${path}.status`), ...sizeFindings];
}

/** Checks a rewrite. */
export function checkRewrite(rewrite: HttpRewrite | undefined, path: string): Findings {
  if (rewrite === undefined) return fine;
  const { uri, authority, uriRegexRewrite: regex } = rewrite;
  if ((uri && regex !== undefined) || (!uri && regex === undefined && !authority)) {
    const message =
      'rewrite must specify at least one of URI, UriRegexRewrite, or authority, and not both of the first two';
    return invalid(path, message);
  }
  if (regex === undefined) return fine;
  const at = `${path}.uriRegexRewrite`;
  if (!regex.match || !regex.rewrite) return missing(at, 'UriRegexRewrite requires both rewrite and match');
  return checkRegex(regex.match, `${at}.match`, 'uriRegexRewrite');
}

const retryConditions: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

/** Checks a retry policy. */
export function checkRetry(retry: HttpRetry | undefined, path: string): Findings {
  if (retry === undefined) return fine;
  const attempts = retry.attempts ?? 0;
  const configured =
    retry.perTryTimeout !== undefined || Boolean(retry.retryOn) || retry.retryRemoteLocalities !== undefined;
  return [
    ...(attempts < 0 ? invalid(`${path}.attempts`, 'attempts cannot be negative') : fine),
    ...(attempts === 0 && configured
      ? invalid(path, 'http retry policy configured when attempts are set to 0 (disabled)')
      : fine),
    ...checkDuration(retry.perTryTimeout, `${path}.perTryTimeout`),
    ...checkDuration(retry.backoff, `${path}.backoff`),
    ...(retry.retryOn ? retry.retryOn.split(',') : []).flatMap((condition) =>
      retryConditions.has(condition) || isKnownStatus(condition)
        ? fine
        : invalid(`${path}.retryOn`, `"${condition}" is not a valid retryOn policy`),
    ),
  ];
}

// Registered statuses (IANA), which are the ones that Go, and so Istio, has a text for.
function isKnownStatus(text: string): boolean {
  const status = /^\+?[0-9]{3}$/.test(text) ? Number(text) : 0;
  const ranges = [
    [100, 103],
    [200, 208],
    [226, 226],
    [300, 305],
    [307, 308],
    [400, 418],
    [421, 426],
  ] as const;
  const single = [428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511];
  return single.includes(status) || ranges.some(([first, last]) => status >= first && status <= last);
}

/** Checks faults to inject. */
export function checkFault(fault: FaultInjection | undefined, path: string): Findings {
  if (fault === undefined) return fine;
  const { abort, delay } = fault;
  if (abort === undefined && delay === undefined) {
    return missing(path, 'HTTP fault injection must have an abort and/or a delay');
  }
  return [
    ...(abort === undefined ? fine : checkAbort(abort, `${path}.abort`)),
    ...(delay === undefined ? fine : checkDelay(delay, `${path}.delay`)),
  ];
}

function checkAbort(abort: NonNullable<FaultInjection['abort']>, path: string): Findings {
  const { httpStatus, grpcStatus, http2Error } = abort;
  const error =
    http2Error !== undefined
      ? invalid(`${path}.http2Error`, 'HTTP/2 abort fault injection not supported yet')
      : grpcStatus !== undefined
        ? grpcStatuses.includes(grpcStatus)
          ? fine
          : invalid(`${path}.grpcStatus`, `gRPC status "${grpcStatus}" is not supported`)
        : httpStatus !== undefined
          ? checkStatus(httpStatus, `${path}.httpStatus`)
          : fine;
  return [...checkPercentage(abort.percentage, `${path}.percentage`), ...error];
}

function checkDelay(delay: NonNullable<FaultInjection['delay']>, path: string): Findings {
  const { exponentialDelay, fixedDelay } = delay;
  const span =
    exponentialDelay === undefined
      ? checkDuration(fixedDelay, `${path}.fixedDelay`)
      : [
          ...checkDuration(exponentialDelay, `${path}.exponentialDelay`),
          ...invalid(`${path}.exponentialDelay`, 'exponentialDelay not supported yet'),
        ];
  return [...checkPercentage(delay.percentage, `${path}.percentage`), ...span];
}

function checkPercentage(percentage: Percent | undefined, path: string): Findings {
  const value = percentage?.value ?? 0;
  if (!(value < 0 || value > 100 || (value > 0 && value < 0.0001))) return fine;
  return invalid(`${path}.value`, `percentage ${value} is neither 0.0, nor in range [0.0001, 100.0]`);
}

function checkStatus(status: number | undefined, path: string): Findings {
  const code = status ?? 0;
  return code >= 200 && code <= 599 ? fine : invalid(path, `HTTP status ${code} is not in range 200-599`);
}

const methods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  '*',
]);

/** Checks cross-origin settings. */
export function checkCors(cors: CorsPolicy | undefined, path: string): Findings {
  if (cors === undefined) return fine;
  const maxAge = cors.maxAge === undefined ? undefined : parseDuration(cors.maxAge);
  return [
    ...each(cors.allowOrigins, `${path}.allowOrigins`, checkOrigin),
    ...each(cors.allowMethods, `${path}.allowMethods`, (method, at) =>
      methods.has(method) ? fine : invalid(at, `"${method}" is not a supported HTTP method`),
    ),
    ...each(cors.allowHeaders, `${path}.allowHeaders`, checkHeaderName),
    ...each(cors.exposeHeaders, `${path}.exposeHeaders`, checkHeaderName),
    ...checkDuration(cors.maxAge, `${path}.maxAge`),
    ...((maxAge?.nanos ?? 0) > 0
      ? invalid(`${path}.maxAge`, 'max_age duration is accurate only to seconds precision')
      : fine),
  ];
}

function checkOrigin(origin: StringMatch, path: string): Findings {
  const { exact, prefix, regex } = origin;
  if (!exact && !prefix && !regex)
    return invalid(path, 'an empty match is not a valid match type for CORS allow origins');
  return regex === undefined ? fine : checkRegex(regex, `${path}.regex`, 'corsAllowOrigins');
}

/** Checks where copies of requests go. */
export function checkMirrors(route: HttpRoute, path: string): Findings {
  const { mirrorPercent, mirrorPercentage, mirror, mirrors } = route;
  return [
    ...(mirrorPercent === undefined
      ? fine
      : [
          ...deprecated(
            `${path}.mirrorPercent`,
            'using deprecated setting "mirrorPercent", use "mirrorPercentage" instead',
          ),
          ...(mirrorPercent > 100
            ? invalid(`${path}.mirrorPercent`, `mirror_percent must have a max value of 100 (it has ${mirrorPercent})`)
            : fine),
        ]),
    ...checkShare(mirrorPercentage, `${path}.mirrorPercentage`),
    ...checkDestination(mirror, `${path}.mirror`),
    ...each(mirrors, `${path}.mirrors`, ({ destination, percentage }, at) => [
      ...(destination === undefined
        ? missing(`${at}.destination`, 'destination is required for mirrors')
        : checkDestination(destination, `${at}.destination`)),
      ...checkShare(percentage, `${at}.percentage`),
    ]),
  ];
}

function checkShare(percentage: Percent | undefined, path: string): Findings {
  const value = percentage?.value ?? 0;
  if (value >= 0 && value <= 100) return fine;
  return invalid(`${path}.value`, `mirror percentage must be from 0 to 100 (it has ${value})`);
}
