// Rules of EnvoyFilter.
import type { DescMessage, Registry } from '@bufbuild/protobuf';
import type { EnvoyFilter, EnvoyFilterConfigPatch, EnvoyFilterMatch } from '../kinds/envoy-filter.ts';
import { checkEnvoyJson, checkTyped, typesInAny } from './envoy-json.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkRegex } from './regex.ts';
import { checkLabelsSelector, checkTargetRef } from './selectors.ts';

/**
 * What Istio's webhook refuses or warns about in an EnvoyFilter. `types` are Envoy's messages by name
 * (protos/registry.ts has all, protos/load-types.ts some); without them the patches' values are not looked into.
 */
export function checkEnvoyFilter(filter: EnvoyFilter, types?: Registry): Findings {
  const spec = filter.spec ?? {};
  return [
    ...doubtful(
      'spec',
      'EnvoyFilter exposes internal implementation details that may change at any time; prefer other APIs if possible',
    ),
    ...checkLabelsSelector(spec.workloadSelector, 'spec.workloadSelector'),
    ...(spec.workloadSelector !== undefined && (spec.targetRefs ?? []).length > 0
      ? conflict('spec', 'only one of targetRefs or workloadSelector can be set')
      : fine),
    ...each(spec.targetRefs, 'spec.targetRefs', checkTargetRef),
    ...each(spec.configPatches, 'spec.configPatches', (patch, path) => checkPatch(patch, types, path)),
  ];
}

/** Envoy's messages that checkEnvoyFilter may look up for this object: those that it patches, and those inside an Any. */
export function typesNamedBy({ spec }: EnvoyFilter): readonly string[] {
  return (spec?.configPatches ?? []).flatMap(({ applyTo = 'INVALID', patch }) => {
    const target = targets[applyTo];
    return target === undefined ? [] : [target.message, ...typesInAny(patch?.value)];
  });
}

type ApplyTo = NonNullable<EnvoyFilterConfigPatch['applyTo']>;
type MatchKind = 'listener' | 'routeConfiguration' | 'cluster';

/** For each target of a patch, Envoy's message, and which match may select it. */
const targets: Readonly<Partial<Record<ApplyTo, { readonly message: string; readonly match?: MatchKind }>>> = {
  LISTENER: { message: 'envoy.config.listener.v3.Listener', match: 'listener' },
  FILTER_CHAIN: { message: 'envoy.config.listener.v3.FilterChain', match: 'listener' },
  LISTENER_FILTER: { message: 'envoy.config.listener.v3.ListenerFilter', match: 'listener' },
  NETWORK_FILTER: { message: 'envoy.config.listener.v3.Filter', match: 'listener' },
  HTTP_FILTER: {
    message: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
    match: 'listener',
  },
  ROUTE_CONFIGURATION: { message: 'envoy.config.route.v3.RouteConfiguration', match: 'routeConfiguration' },
  VIRTUAL_HOST: { message: 'envoy.config.route.v3.VirtualHost', match: 'routeConfiguration' },
  HTTP_ROUTE: { message: 'envoy.config.route.v3.Route', match: 'routeConfiguration' },
  CLUSTER: { message: 'envoy.config.cluster.v3.Cluster', match: 'cluster' },
  EXTENSION_CONFIG: { message: 'envoy.config.core.v3.TypedExtensionConfig' },
  BOOTSTRAP: { message: 'envoy.config.bootstrap.v3.Bootstrap' },
};

function checkPatch(entry: EnvoyFilterConfigPatch, types: Registry | undefined, path: string): Findings {
  const { applyTo = 'INVALID', match, patch } = entry;
  const target = targets[applyTo];
  if (target === undefined) return missing(`${path}.applyTo`, 'missing applyTo');
  if (match?.context === 'WAYPOINT') {
    // Istio's webhook looks no further; without a patch nothing happens.
    return patch === undefined ? doubtful(path, 'the patch is missing, so that nothing is changed') : fine;
  }
  if (patch === undefined) return missing(`${path}.patch`, 'missing patch');
  const { operation = 'INVALID', value } = patch;
  if (operation === 'INVALID') return missing(`${path}.patch.operation`, 'missing patch operation');
  if (operation !== 'REMOVE' && value === undefined) {
    return missing(`${path}.patch.value`, 'missing patch value for non-remove operation');
  }
  return [
    ...checkProxyVersion(match, `${path}.match`),
    ...checkMatch(applyTo, match, target.match, `${path}.match`),
    ...(value === undefined
      ? fine
      : checkValue(types?.getMessage(target.message), value, types, `${path}.patch.value`)),
  ];
}

function checkProxyVersion(match: EnvoyFilterMatch | undefined, path: string): Findings {
  const pattern = match?.proxy?.proxyVersion ?? '';
  return pattern === '' ? fine : checkRegex(pattern, `${path}.proxy.proxyVersion`, 'invalid regex for proxy version');
}

const classNames: Readonly<Record<MatchKind, string>> = {
  listener: 'listener',
  routeConfiguration: 'route configuration',
  cluster: 'cluster',
};

function checkMatch(
  applyTo: ApplyTo,
  match: EnvoyFilterMatch | undefined,
  allowed: MatchKind | undefined,
  path: string,
): Findings {
  if (match === undefined || allowed === undefined) return fine;
  const given = (['listener', 'routeConfiguration', 'cluster', 'waypoint'] as const).filter(
    (kind) => match[kind] !== undefined,
  );
  if (given.length > 0 && !given.includes(allowed)) {
    const name = classNames[allowed];
    return invalid(path, `applyTo for ${name} class objects cannot have non ${name} match`);
  }
  return allowed === 'listener' ? checkListenerMatch(applyTo, match.listener, `${path}.listener`) : fine;
}

const connectionManagers: ReadonlySet<string> = new Set([
  'envoy.filters.network.http_connection_manager',
  'envoy.http_connection_manager',
]);

/** Checks that a match by filter says which, and that it can have an effect. */
function checkListenerMatch(applyTo: ApplyTo, match: EnvoyFilterMatch['listener'], path: string): Findings {
  const filter = match?.filterChain?.filter;
  if (filter === undefined || applyTo === 'LISTENER_FILTER') return fine;
  const at = `${path}.filterChain.filter`;
  const idle: Findings =
    applyTo === 'LISTENER' || applyTo === 'FILTER_CHAIN'
      ? doubtful(at, `filter match has no effect when used with ${applyTo}`)
      : fine;
  return [...idle, ...checkFilterNames(applyTo, filter, at)];
}

type FilterMatch = NonNullable<NonNullable<NonNullable<EnvoyFilterMatch['listener']>['filterChain']>['filter']>;

function checkFilterNames(applyTo: ApplyTo, { name = '', subFilter }: FilterMatch, path: string): Findings {
  if (name === '') return missing(`${path}.name`, 'filter match has no name to match on');
  if (subFilter === undefined) return fine;
  const at = `${path}.subFilter`;
  if (applyTo !== 'HTTP_FILTER') return invalid(at, 'subfilter match can be used with applyTo HTTP_FILTER only');
  if (!connectionManagers.has(name)) {
    return invalid(at, 'subfilter match requires filter match with envoy.filters.network.http_connection_manager');
  }
  return (subFilter.name ?? '') === '' ? missing(`${at}.name`, 'subfilter match has no name to match on') : fine;
}

function checkValue(
  message: DescMessage | undefined,
  value: unknown,
  types: Registry | undefined,
  path: string,
): Findings {
  if (message === undefined || types === undefined) return fine;
  return [...checkEnvoyJson(message, value, types, path), ...checkTyped(message, value, path)];
}
