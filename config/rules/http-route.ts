// Rules of HTTP routes: which actions go together, and each of them.
import type { HttpRoute } from '../kinds/virtual-service.ts';
import { checkWeighted } from './destination.ts';
import { checkDuration } from './durations.ts';
import { conflict, each, type Findings, fine, missing } from './finding.ts';
import {
  checkCors,
  checkDirectResponse,
  checkFault,
  checkMirrors,
  checkRedirect,
  checkRetry,
  checkRewrite,
} from './http-actions.ts';
import { checkAuthority, checkHeaders } from './http-headers.ts';
import { checkHttpMatches } from './http-match.ts';

/** Checks an HTTP route. */
export function checkHttpRoute(route: HttpRoute, path: string): Findings {
  return [
    ...checkActions(route, path),
    ...checkHttpMatches(route, path),
    ...checkHeaders(route.headers, `${path}.headers`),
    ...checkCors(route.corsPolicy, `${path}.corsPolicy`),
    ...checkFault(route.fault, `${path}.fault`),
    ...checkMirrors(route, path),
    ...checkRedirect(route.redirect, `${path}.redirect`),
    ...checkDirectResponse(route.directResponse, `${path}.directResponse`),
    ...checkRetry(route.retries, `${path}.retries`),
    ...checkRewrite(route.rewrite, `${path}.rewrite`),
    ...checkAuthority(route.rewrite?.authority, route.headers, path),
    ...checkWeighted(route.route, `${path}.route`),
    ...each(route.route, `${path}.route`, ({ headers }, at) => checkHeaders(headers, `${at}.headers`)),
    ...checkDuration(route.timeout, `${path}.timeout`),
  ];
}

function checkActions(route: HttpRoute, path: string): Findings {
  const forwards = (route.route?.length ?? 0) > 0;
  if (route.delegate !== undefined) {
    // What a delegating route says beside its match and name, the delegate's own routes would have to say again.
    return [
      ...(route.redirect === undefined ? fine : exclude('delegate', 'redirect', path)),
      ...(route.directResponse === undefined ? fine : exclude('delegate', 'direct_response', path)),
      ...(forwards ? exclude('delegate', 'route', path) : fine),
    ];
  }
  const action =
    route.redirect !== undefined ? 'redirect' : route.directResponse !== undefined ? 'direct_response' : undefined;
  const mirrored = route.mirror !== undefined && (route.mirrors?.length ?? 0) > 0;
  const mirrorFindings = mirrored ? exclude('mirror', 'mirrors', path) : fine;
  if (action === undefined) {
    const absent = forwards ? fine : missing(path, 'HTTP route, redirect or direct_response is required');
    return [...absent, ...mirrorFindings];
  }
  return [
    ...(forwards ? exclude('route', action, path) : fine),
    ...(route.fault === undefined ? fine : exclude('fault', action, path)),
    ...(route.rewrite === undefined ? fine : exclude('rewrite', action, path)),
    ...(route.redirect !== undefined && route.directResponse !== undefined
      ? exclude('direct_response', 'redirect', path)
      : fine),
    ...mirrorFindings,
  ];
}

function exclude(one: string, other: string, path: string): Findings {
  return conflict(path, `HTTP route cannot contain both ${one} and ${other}`);
}
