// A VirtualService's HTTP rules as Envoy routes, in their order, for one client and port.
import { create } from '@bufbuild/protobuf';
import type { HttpMatch, HttpRoute } from '../../../../config/kinds/virtual-service.ts';
import {
  type Route,
  type RouteAction,
  type RouteMatch,
  RouteSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import type { VirtualRoutes } from '../../../model/route.ts';
import { configMetadata } from '../metadata.ts';
import type { RouteContext } from './context.ts';
import { corsFilter, corsOf } from './cors.ts';
import { routeAction } from './destination.ts';
import { faultFilter, faultOf } from './fault.ts';
import { headerChanges, joinHeaderChanges } from './headers.ts';
import { routeMatch, takesEverything } from './match.ts';
import { directResponse, redirectAction } from './redirect.ts';

/** Routes of a VirtualService; empty where no rule is for this client and port. Ends with the first that takes all. */
export function httpRoutes(rules: VirtualRoutes, context: RouteContext): readonly Route[] {
  const routes: Route[] = [];
  for (const rule of rules.http) {
    const matches: readonly (HttpMatch | undefined)[] =
      (rule.match ?? []).length === 0 ? [undefined] : (rule.match ?? []);
    for (const match of matches) {
      const route = appliesTo(match, context) ? translate(rules, rule, match, context) : undefined;
      if (route === undefined) continue;
      routes.push(route);
      if (route.match !== undefined && takesEverything(route.match)) return routes;
    }
  }
  return routes;
}

/** Whether which routes are made depends on the client's own labels or namespace. */
export function asksForSource(rules: VirtualRoutes): boolean {
  const streams = [...rules.tls, ...rules.tcp].flatMap((route) => route.match ?? []);
  return [...rules.http.flatMap((rule) => rule.match ?? []), ...streams].some(
    (match) => Object.keys(match.sourceLabels ?? {}).length > 0 || (match.sourceNamespace ?? '') !== '',
  );
}

/** The parts of a match that are decided when routes are made rather than by the proxy. */
export interface SourceMatch {
  readonly port?: number;
  readonly gateways?: readonly string[];
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
}

/** Whether a match is meant for this client and port; a list of gateways makes the source conditions void. */
export function appliesTo(
  match: SourceMatch | undefined,
  client: Pick<RouteContext, 'port' | 'gateways' | 'labels' | 'namespace'>,
): boolean {
  if (match === undefined) return true;
  if ((match.port ?? 0) !== 0 && match.port !== client.port) return false;
  const gateways = match.gateways ?? [];
  if (gateways.length > 0) return gateways.some((gateway) => client.gateways.includes(gateway));
  const labels = Object.entries(match.sourceLabels ?? {});
  if (!labels.every(([name, value]) => client.labels[name] === value)) return false;
  const namespace = match.sourceNamespace ?? '';
  return namespace === '' || namespace === client.namespace;
}

function translate(
  rules: VirtualRoutes,
  rule: HttpRoute,
  match: HttpMatch | undefined,
  context: RouteContext,
): Route | undefined {
  const found = actionOf(rule, context);
  if (found === undefined) return undefined;
  const own = headerChanges(rule.headers);
  const taken = routeMatch(match, rules.paths);
  return create(RouteSchema, {
    name: nameOf(rule, match),
    match: taken,
    metadata: configMetadata('virtual-service', rules.namespace, rules.name),
    statPrefix: match?.statPrefix ?? '',
    decorator: { operation: operationOf(taken, found.action, rules, context) },
    ...(found.changes === undefined ? own : joinHeaderChanges(own, found.changes)),
    typedPerFilterConfig: filterConfigs(rule),
    action: found.action,
  });
}

type Action = NonNullable<Route['action']>;

function actionOf(
  rule: HttpRoute,
  context: RouteContext,
): { readonly action: Action; readonly changes?: ReturnType<typeof headerChanges> | undefined } | undefined {
  if (rule.redirect !== undefined) {
    return { action: { case: 'redirect', value: redirectAction(rule.redirect, context) } };
  }
  if (rule.directResponse !== undefined) {
    return { action: { case: 'directResponse', value: directResponse(rule.directResponse) } };
  }
  const routed = routeAction(rule, context);
  if (routed === undefined) return undefined;
  return { action: { case: 'route', value: routed.action }, changes: routed.changes };
}

function nameOf(rule: HttpRoute, match: HttpMatch | undefined): string {
  const name = rule.name ?? '';
  const own = match?.name ?? '';
  return own === '' ? name : `${name}.${own}`;
}

function filterConfigs(rule: HttpRoute): NonNullable<Route['typedPerFilterConfig']> {
  const cors = corsOf(rule.corsPolicy);
  const fault = faultOf(rule.fault);
  return {
    ...(cors === undefined ? {} : { [corsFilter]: cors }),
    ...(fault === undefined ? {} : { [faultFilter]: fault }),
  };
}

/** What traces call the operation: `host:port/path*` of a single destination, else by the VirtualService's name. */
function operationOf(match: RouteMatch, action: Action, rules: VirtualRoutes, context: RouteContext): string {
  const target = action.case === 'route' ? targetOf(action.value) : undefined;
  return `${target ?? `${rules.name}:${context.port}`}${pathOf(match)}`;
}

function targetOf({ clusterSpecifier }: RouteAction): string | undefined {
  if (clusterSpecifier.case !== 'cluster') return undefined;
  const [, port, , host] = clusterSpecifier.value.split('|');
  return host === undefined ? undefined : `${host}:${port}`;
}

function pathOf({ pathSpecifier: path }: RouteMatch): string {
  if (path.case === 'prefix') return `${path.value}*`;
  if (path.case === 'path') return path.value;
  return path.case === 'safeRegex' ? path.value.regex : '/*';
}
