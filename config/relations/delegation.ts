// VirtualServices and their delegates: routes that delegate and get nothing, and delegates that give to nobody.
import type { Diagnostic } from '../diagnostic.ts';
import { withFullGateways } from '../gateway-name.ts';
import type { HttpRoute, VirtualService } from '../kinds/virtual-service.ts';
import { keyOf } from '../object.ts';
import { delegateKey, mergeDelegate, mostConditions, type Refusal } from './delegate.ts';
import { ineffective, unusable } from './finding.ts';
import type { Surroundings } from './view.ts';

/** VirtualServices followed at most when delegates are looked through for a circle. */
const mostFollowed = 100;

/** Whether a VirtualService has routes that delegate, or is a delegate itself. */
export function mayDelegate({ spec }: VirtualService): boolean {
  return (spec.hosts ?? []).length === 0 || (spec.http ?? []).some(({ delegate }) => delegate !== undefined);
}

/** What comes of the routes that delegate, or of a delegate's own. */
export function relateDelegates(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  return (object.spec.hosts ?? []).length === 0 ? relateDelegate(object, around) : relateRoot(object, around);
}

function relateRoot(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  const { spec, metadata } = object;
  const { http = [] } = spec;
  if (http.every(({ delegate }) => delegate === undefined)) return [];
  const delegations = around.delegationsOf(object);
  return http.flatMap((route, index) => {
    const delegation = delegations[index];
    if (route.delegate === undefined || delegation === undefined) return [];
    const path = `spec.http[${index}].delegate`;
    const key = delegateKey(route.delegate, metadata.namespace);
    if ('refusal' in delegation) return refused(delegation.refusal, path, key, object, around);
    const root = inFull(route, metadata.namespace);
    if (routesInFull(delegation.delegate).some((leaf) => mergeDelegate(root, leaf) !== undefined)) return [];
    return ineffective(
      path,
      `no route of VirtualService ${key} lies within the conditions of this one`,
      'each condition there has to be as narrow as one here',
    );
  });
}

function refused(
  refusal: Refusal,
  path: string,
  key: string,
  { metadata }: VirtualService,
  around: Surroundings,
): readonly Diagnostic[] {
  const messages: Readonly<Record<Refusal, string>> = {
    absent: 'does not exist, or is not valid',
    'has-hosts': 'has hosts, so that it stands for itself and cannot be a delegate',
    'not-exported': `is not exported to namespace ${metadata.namespace}`,
    'too-many': `would bring the conditions from delegates to more than ${mostConditions}`,
  };
  const circle = refusal === 'has-hosts' && leadsTo(key, keyOf(metadata), around);
  const help = `the route has no effect${circle ? ': delegates lead in a circle' : ''}`;
  return unusable(path, `VirtualService ${key} ${messages[refusal]}`, help);
}

/** Whether one VirtualService delegates to another, over others if need be, or is it. */
function leadsTo(from: string, to: string, { get }: Surroundings): boolean {
  const seen = new Set([from]);
  // Those that are added meanwhile have their turn.
  for (const key of seen) {
    if (key === to) return true;
    if (seen.size > mostFollowed) return false;
    const found = get('VirtualService', key);
    for (const { delegate } of found?.spec.http ?? []) {
      if (found !== undefined && delegate !== undefined) seen.add(delegateKey(delegate, found.metadata.namespace));
    }
  }
  return false;
}

function relateDelegate(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  const key = keyOf(object.metadata);
  const roots = around.delegatingTo(key);
  if (roots.length === 0) return ineffective('spec', 'it has no hosts, and no VirtualService delegates to it');
  const takers = roots.flatMap((root) => {
    const delegations = around.delegationsOf(root);
    return (root.spec.http ?? []).flatMap((route, index) => {
      const delegation = delegations[index];
      const isTaker =
        delegation !== undefined && 'delegate' in delegation && keyOf(delegation.delegate.metadata) === key;
      return isTaker ? [inFull(route, root.metadata.namespace)] : [];
    });
  });
  // Where there are none, those that delegate are told why.
  if (takers.length === 0) return [];
  return routesInFull(object).flatMap((leaf, index) =>
    takers.some((root) => mergeDelegate(root, leaf) !== undefined)
      ? []
      : ineffective(`spec.http[${index}]`, 'its conditions lie within those of no route that delegates here'),
  );
}

function routesInFull({ spec, metadata }: VirtualService): readonly HttpRoute[] {
  return (spec.http ?? []).map((route) => inFull(route, metadata.namespace));
}

/** A route as `mergeDelegate` wants it. */
function inFull(route: HttpRoute, namespace: string): HttpRoute {
  if (route.match === undefined) return route;
  return { ...route, match: route.match.map((match) => withFullGateways(match, namespace)) };
}
