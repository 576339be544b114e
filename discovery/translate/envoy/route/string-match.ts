// Comparing strings: a rule's exact, prefix or regex in the forms that Envoy has for it.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { StringMatch } from '../../../../config/kinds/common.ts';
import { type StringMatcher, StringMatcherSchema } from '../../../../protos/gen/envoy/type/matcher/v3/string_pb.js';

type Pattern = NonNullable<MessageInitShape<typeof StringMatcherSchema>['matchPattern']>;

/** Whether the match takes any value that is present. */
export function takesAny(match: StringMatch | undefined): boolean {
  if (match === undefined) return true;
  const { exact, prefix, regex } = match;
  return (exact === undefined && prefix === undefined && regex === undefined) || regex === '*';
}

/** Envoy's matcher, or undefined where the rule says nothing. */
export function stringMatcher(match: StringMatch): StringMatcher | undefined {
  const matchPattern = patternOf(match);
  return matchPattern === undefined ? undefined : create(StringMatcherSchema, { matchPattern });
}

function patternOf({ exact, prefix, regex }: StringMatch): Pattern | undefined {
  if (exact !== undefined) return { case: 'exact', value: exact };
  if (prefix !== undefined) return { case: 'prefix', value: prefix };
  if (regex !== undefined) return { case: 'safeRegex', value: { regex } };
  return undefined;
}
