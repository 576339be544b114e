// Which requests a route takes: a VirtualService's HTTP match as Envoy's RouteMatch.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { StringMatch } from '../../../../config/kinds/common.ts';
import type { HttpMatch } from '../../../../config/kinds/virtual-service.ts';
import { compareText } from '../../../../config/object.ts';
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
  type QueryParameterMatcher,
  QueryParameterMatcherSchema,
  type RouteMatch,
  RouteMatchSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import type { PathSemantics } from '../../../model/route-semantics.ts';
import { claimMatchOf } from './claims.ts';
import { stringMatcher, takesAny } from './string-match.ts';

type Path = NonNullable<MessageInitShape<typeof RouteMatchSchema>['pathSpecifier']>;

/** Translates one match; undefined takes every request. */
export function routeMatch(match: HttpMatch | undefined, semantics: PathSemantics = 'istio'): RouteMatch {
  if (match === undefined) return create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: '/' } });
  const headers = headerNames(match).flatMap(({ name, wanted, without }) =>
    claimMatchOf(name, wanted, without) === undefined ? [headerMatcher(name, wanted, without)] : [],
  );
  const claims = headerNames(match).flatMap(({ name, wanted, without }) => claimMatchOf(name, wanted, without) ?? []);
  const pseudo = (['method', 'authority', 'scheme'] as const).flatMap((field) => {
    const wanted = match[field];
    return wanted === undefined ? [] : [headerMatcher(`:${field}`, wanted, false)];
  });
  const queries = Object.entries(match.queryParams ?? {}).sort(([a], [b]) => compareText(a, b));
  return create(RouteMatchSchema, {
    pathSpecifier: pathOf(match.uri, semantics),
    caseSensitive: match.ignoreUriCase !== true,
    headers: [...headers, ...pseudo],
    queryParameters: queries.map(([name, wanted]) => queryMatcher(name, wanted)),
    dynamicMetadata: claims,
  });
}

/** Whether no later route can be reached: every path and no further condition. */
export function takesEverything(match: RouteMatch): boolean {
  const { pathSpecifier: path } = match;
  const everyPath =
    ((path.case === 'prefix' || path.case === 'pathSeparatedPrefix') && path.value === '/') ||
    (path.case === 'safeRegex' && path.value.regex === '*');
  return everyPath && match.headers.length + match.queryParameters.length + match.dynamicMetadata.length === 0;
}

interface HeaderCondition {
  readonly name: string;
  readonly wanted: StringMatch;
  readonly without: boolean;
}

function headerNames(match: HttpMatch): readonly HeaderCondition[] {
  const wanted = Object.entries(match.headers ?? {}).map(([name, value]) => ({ name, wanted: value, without: false }));
  const unwanted = Object.entries(match.withoutHeaders ?? {}).map(([name, value]) => ({
    name,
    wanted: value,
    without: true,
  }));
  return [...wanted, ...unwanted].sort((a, b) => compareText(a.name, b.name));
}

function pathOf(uri: StringMatch | undefined, semantics: PathSemantics): Path {
  if (uri?.exact !== undefined) return { case: 'path', value: uri.exact };
  if (uri?.regex !== undefined) return { case: 'safeRegex', value: { regex: uri.regex } };
  const prefix = uri?.prefix ?? '/';
  if (semantics === 'separated' && prefix !== '/') {
    return { case: 'pathSeparatedPrefix', value: prefix.endsWith('/') ? prefix.slice(0, -1) : prefix };
  }
  return { case: 'prefix', value: prefix };
}

function headerMatcher(name: string, wanted: StringMatch, without: boolean): HeaderMatcher {
  const matcher = takesAny(wanted) ? undefined : stringMatcher(wanted);
  if (matcher === undefined) {
    return create(HeaderMatcherSchema, {
      name,
      invertMatch: without,
      headerMatchSpecifier: { case: 'presentMatch', value: true },
    });
  }
  return create(HeaderMatcherSchema, {
    name,
    invertMatch: without,
    // A missing header must not make a negative condition fail to match.
    treatMissingHeaderAsEmpty: without,
    headerMatchSpecifier: { case: 'stringMatch', value: matcher },
  });
}

function queryMatcher(name: string, wanted: StringMatch): QueryParameterMatcher {
  const matcher = takesAny(wanted) ? undefined : stringMatcher(wanted);
  return create(QueryParameterMatcherSchema, {
    name,
    queryParameterMatchSpecifier:
      matcher === undefined ? { case: 'presentMatch', value: true } : { case: 'stringMatch', value: matcher },
  });
}
