// Cross-origin resource sharing of a route, for Envoy's CORS filter.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { parseDuration } from '../../../../config/duration.ts';
import type { CorsPolicy } from '../../../../config/kinds/virtual-service.ts';
import { CorsPolicySchema } from '../../../../protos/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { packed } from '../wire.ts';
import { stringMatcher } from './string-match.ts';

/** Name of the filter, under which its configuration per route stands. */
export const corsFilter = 'envoy.filters.http.cors';

/** Configuration of the CORS filter for a route; undefined where the rule has no policy. */
export function corsOf(policy: CorsPolicy | undefined): Any | undefined {
  if (policy === undefined) return undefined;
  const maxAge = policy.maxAge === undefined ? undefined : parseDuration(policy.maxAge);
  const init: MessageInitShape<typeof CorsPolicySchema> = {
    allowOriginStringMatch: originsOf(policy),
    allowMethods: (policy.allowMethods ?? []).join(','),
    allowHeaders: (policy.allowHeaders ?? []).join(','),
    exposeHeaders: (policy.exposeHeaders ?? []).join(','),
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
    filterEnabled: { defaultValue: { numerator: 100 } },
    ...(maxAge === undefined ? {} : { maxAge: String(maxAge.seconds) }),
    ...(policy.allowCredentials === undefined ? {} : { allowCredentials: policy.allowCredentials }),
  };
  return packed(CorsPolicySchema, init);
}

/** The former list of plain origins counts only where the newer one is empty; its `*` takes every origin. */
function originsOf(policy: CorsPolicy) {
  const origins = policy.allowOrigins ?? [];
  if (origins.length > 0) return origins.flatMap((origin) => stringMatcher(origin) ?? []);
  return (policy.allowOrigin ?? []).flatMap(
    (origin) => stringMatcher(origin === '*' ? { regex: '.*' } : { exact: origin }) ?? [],
  );
}
