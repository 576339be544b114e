// Matching on claims of a validated token: header names of the form `@request.auth.claims…` become metadata matches.
import { create } from '@bufbuild/protobuf';
import type { StringMatch } from '../../../../config/kinds/common.ts';
import {
  type MetadataMatcher,
  MetadataMatcherSchema,
} from '../../../../protos/gen/envoy/type/matcher/v3/metadata_pb.js';
import { stringMatcher } from './string-match.ts';

const prefix = '@request.auth.claims';

/** The metadata match of a claim, or undefined where the name is that of an ordinary header. */
export function claimMatchOf(name: string, wanted: StringMatch, without: boolean): MetadataMatcher | undefined {
  if (!name.toLowerCase().startsWith(prefix)) return undefined;
  const path = claimPath(name.slice(prefix.length));
  const value = stringMatcher(wanted);
  if (path === undefined || value === undefined) return undefined;
  return create(MetadataMatcherSchema, {
    filter: 'envoy.filters.http.jwt_authn',
    path: ['payload', ...path].map((key) => ({ segment: { case: 'key' as const, value: key } })),
    value: {
      matchPattern: {
        case: 'orMatch',
        // A claim is a string or a list of strings.
        value: {
          valueMatchers: [
            {
              matchPattern: {
                case: 'listMatch',
                value: {
                  matchPattern: {
                    case: 'oneOf',
                    value: { matchPattern: { case: 'stringMatch', value } },
                  },
                },
              },
            },
            { matchPattern: { case: 'stringMatch', value } },
          ],
        },
      },
    },
    invert: without,
  });
}

/** `.a.b` or `[a][b]` as its parts. */
function claimPath(rest: string): readonly string[] | undefined {
  const parts = rest.startsWith('.') ? rest.slice(1).split('.') : bracketed(rest);
  return parts === undefined || parts.length === 0 || parts.includes('') ? undefined : parts;
}

function bracketed(rest: string): readonly string[] | undefined {
  if (!rest.startsWith('[') || !rest.endsWith(']')) return undefined;
  return rest.slice(1, -1).split('][');
}
