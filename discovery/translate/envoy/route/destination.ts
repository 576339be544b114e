// Where a route sends requests: one cluster or several by weight, with mirrors, rewrites, timeout and retries.
import { create } from '@bufbuild/protobuf';
import type { Destination, HttpRoute, HttpRouteDestination } from '../../../../config/kinds/virtual-service.ts';
import {
  type RouteAction,
  RouteAction_MaxStreamDurationSchema,
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  type WeightedCluster,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { RegexMatchAndSubstituteSchema } from '../../../../protos/gen/envoy/type/matcher/v3/regex_pb.js';
import { outboundCluster } from '../../names.ts';
import { seconds, wireDuration } from '../wire.ts';
import type { RouteContext } from './context.ts';
import { fractionOf } from './fault.ts';
import { authorityOf, type HeaderChanges, headerChanges } from './headers.ts';
import { retryPolicy } from './retry.ts';

type ActionPart = Partial<Omit<RouteAction, '$typeName' | '$unknown'>>;

/** A route action and the header changes that belong to its route rather than to one of several clusters. */
export interface Routed {
  readonly action: RouteAction;
  readonly changes: HeaderChanges | undefined;
}

/** Builds the action of a route with destinations; undefined where none can be used. */
export function routeAction(route: HttpRoute, context: RouteContext): Routed | undefined {
  const destinations = usable(route.route ?? []);
  const [first] = destinations;
  if (first === undefined) return undefined;
  const single = destinations.length === 1;
  const authority =
    (single ? authorityOf(first.headers) : undefined) ??
    notEmpty(route.rewrite?.authority) ??
    authorityOf(route.headers);
  const retry = retryPolicy(route.retries ?? context.defaultRetries);
  const action = create(RouteActionSchema, {
    ...timeouts(route, context),
    ...rewrites(route),
    ...(authority === undefined ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } }),
    ...(retry === undefined ? {} : { retryPolicy: retry }),
    requestMirrorPolicies: mirrors(route, context),
    hashPolicy: destinations.flatMap(({ destination }) =>
      destination === undefined ? [] : context.hashPolicies(destination),
    ),
  });
  action.clusterSpecifier = single
    ? { case: 'cluster', value: clusterOf(first.destination, context) }
    : { case: 'weightedClusters', value: weightedClusters(destinations, context) };
  return { action, changes: single ? headerChanges(first.headers) : undefined };
}

/** The cluster of a destination. */
export function clusterOf(destination: Destination | undefined, context: RouteContext): string {
  const host = destination?.host ?? '';
  const port = destination?.port?.number ?? 0;
  return outboundCluster(port === 0 ? context.destinationPort(host) : port, destination?.subset ?? '', host);
}

function usable(destinations: readonly HttpRouteDestination[]): readonly HttpRouteDestination[] {
  const named = destinations.filter(({ destination }) => (destination?.host ?? '') !== '');
  return named.length <= 1 ? named : named.filter(({ weight }) => (weight ?? 0) > 0);
}

function weightedClusters(destinations: readonly HttpRouteDestination[], context: RouteContext): WeightedCluster {
  return create(WeightedClusterSchema, { clusters: destinations.map((one) => weighted(one, context)) });
}

function weighted(one: HttpRouteDestination, context: RouteContext) {
  const authority = authorityOf(one.headers);
  return create(WeightedCluster_ClusterWeightSchema, {
    name: clusterOf(one.destination, context),
    weight: one.weight ?? 0,
    ...headerChanges(one.headers),
    ...(authority === undefined ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } }),
  });
}

/** Requests have no time limit unless the rule gives one; gRPC's own deadline is bounded likewise. */
function timeouts(route: HttpRoute, context: RouteContext): ActionPart {
  const timeout = wireDuration(route.timeout) ?? seconds(0);
  if (context.streamTimeouts) {
    const limits = { maxStreamDuration: timeout, grpcTimeoutHeaderMax: timeout };
    return { maxStreamDuration: create(RouteAction_MaxStreamDurationSchema, limits) };
  }
  return { timeout, maxGrpcTimeout: timeout };
}

function rewrites({ rewrite }: HttpRoute): ActionPart {
  if (rewrite === undefined) return {};
  const { uri, uriRegexRewrite: regex } = rewrite;
  if (regex !== undefined) {
    const pattern = { regex: regex.match ?? '' };
    return { regexRewrite: create(RegexMatchAndSubstituteSchema, { pattern, substitution: regex.rewrite ?? '' }) };
  }
  return uri === undefined || uri === '' ? {} : { prefixRewrite: uri };
}

function mirrors(route: HttpRoute, context: RouteContext): RouteAction_RequestMirrorPolicy[] {
  const all = [
    ...(route.mirror === undefined
      ? []
      : [{ destination: route.mirror, percentage: route.mirrorPercentage, whole: route.mirrorPercent }]),
    ...(route.mirrors ?? []).map((mirror) => ({ ...mirror, whole: undefined })),
  ];
  return all.flatMap(({ destination, percentage, whole }) => {
    const share = percentage === undefined ? { numerator: whole ?? 100 } : fractionOf(percentage);
    if (destination === undefined || share.numerator === 0) return [];
    return create(RouteAction_RequestMirrorPolicySchema, {
      cluster: clusterOf(destination, context),
      runtimeFraction: { defaultValue: share },
      traceSampled: false,
      disableShadowHostSuffixAppend: true,
    });
  });
}

function notEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
