// What binds a request to a host under consistent hashing: a header, cookie, query parameter or the source address.
import { create } from '@bufbuild/protobuf';
import type { ConsistentHash } from '../../../../config/kinds/destination-rule.ts';
import { compareText } from '../../../../config/object.ts';
import {
  type RouteAction_HashPolicy,
  RouteAction_HashPolicySchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { wireDuration } from '../wire.ts';

/** Envoy's hash policies for a consistent hash; none where the rule names no property of the request. */
export function hashPolicies(hash: ConsistentHash | undefined): RouteAction_HashPolicy[] {
  if (hash === undefined) return [];
  const { httpHeaderName: headerName, httpQueryParameterName: name, httpCookie: cookie } = hash;
  if (headerName !== undefined) return [policy({ case: 'header', value: { headerName } })];
  if (cookie !== undefined) return [cookiePolicy(cookie)];
  if (hash.useSourceIp === true) return [policy({ case: 'connectionProperties', value: { sourceIp: true } })];
  if (name !== undefined) return [policy({ case: 'queryParameter', value: { name } })];
  return [];
}

type Specifier = NonNullable<Parameters<typeof create<typeof RouteAction_HashPolicySchema>>[1]>['policySpecifier'];

function policy(policySpecifier: NonNullable<Specifier>): RouteAction_HashPolicy {
  return create(RouteAction_HashPolicySchema, { policySpecifier });
}

function cookiePolicy(cookie: NonNullable<ConsistentHash['httpCookie']>): RouteAction_HashPolicy {
  const ttl = wireDuration(cookie.ttl);
  const attributes = [...(cookie.attributes ?? [])].sort((a, b) => compareText(a.name ?? '', b.name ?? ''));
  return policy({
    case: 'cookie',
    value: {
      name: cookie.name ?? '',
      path: cookie.path ?? '',
      attributes: attributes.map(({ name, value }) => ({ name: name ?? '', value: value ?? '' })),
      ...(ttl === undefined ? {} : { ttl }),
    },
  });
}
