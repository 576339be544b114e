// Delegates: which VirtualService a route may leave its routes to, and how the routes of the two become one. Findings and
// translation both ask here.
import { exportedTo, parseExportTo } from '../export-to.ts';
import type { StringMatch } from '../kinds/common.ts';
import type { Delegate, HttpMatch, HttpRoute, VirtualService } from '../kinds/virtual-service.ts';

/**
 * Conditions that a VirtualService may get from all its delegates. Those of two objects multiply: a megabyte of each could
 * otherwise make billions.
 */
export const mostConditions = 20_000;

/** Why a VirtualService that a route delegates to gives it nothing. */
export type Refusal = 'absent' | 'has-hosts' | 'not-exported' | 'too-many';

/** The VirtualService whose routes stand in place of one that delegates, or why there is none. */
export type Delegation = { readonly delegate: VirtualService } | { readonly refusal: Refusal };

/** The `namespace/name` that a delegate's reference in an object of `namespace` stands for. */
export function delegateKey({ name = '', namespace: given = '' }: Delegate, namespace: string): string {
  return `${given === '' ? namespace : given}/${name}`;
}

/**
 * For each HTTP route of a VirtualService its delegate, where it may be used: it has no hosts (with hosts it stands for
 * itself) and is exported to the root's namespace. Undefined for routes that do not delegate. `find` gives VirtualServices
 * by key; `defaults` is the mesh's list for those without exportTo.
 */
export function delegationsOf(
  { spec, metadata }: VirtualService,
  find: (key: string) => VirtualService | undefined,
  defaults: readonly string[],
): readonly (Delegation | undefined)[] {
  let conditions = 0;
  return (spec.http ?? []).map((route) => {
    if (route.delegate === undefined) return undefined;
    const found = find(delegateKey(route.delegate, metadata.namespace));
    const refusal = refusalOf(found, metadata.namespace, defaults);
    if (found === undefined || refusal !== undefined) return { refusal: refusal ?? 'absent' };
    const more = conditions + sizeOf(route) * (found.spec.http ?? []).reduce((sum, leaf) => sum + sizeOf(leaf), 0);
    if (more > mostConditions) return { refusal: 'too-many' };
    conditions = more;
    return { delegate: found };
  });
}

function refusalOf(
  found: VirtualService | undefined,
  namespace: string,
  defaults: readonly string[],
): Refusal | undefined {
  if (found === undefined) return 'absent';
  if ((found.spec.hosts ?? []).length > 0) return 'has-hosts';
  const written = found.spec.exportTo ?? [];
  const exportTo = parseExportTo(written.length === 0 ? defaults : written, found.metadata.namespace);
  return exportedTo(exportTo, namespace) ? undefined : 'not-exported';
}

function sizeOf({ match = [] }: HttpRoute): number {
  return Math.max(match.length, 1);
}

/**
 * Merges a delegate's route (`leaf`) into the root's that names it; gateways in both must be full names. What the leaf sets
 * wins. Undefined where one of its conditions takes in what the root's leave out: then the leaf has no effect.
 */
export function mergeDelegate(root: HttpRoute, leaf: HttpRoute): HttpRoute | undefined {
  const match = mergeMatches(root.match ?? [], leaf.match ?? []);
  if (match === undefined) return undefined;
  const { delegate: _delegate, match: _match, name: _name, route: _route, redirect: _redirect, ...defaults } = root;
  const { match: _own, name: _leafName, ...own } = leaf;
  const name = joinNames(root.name, leaf.name);
  return {
    ...defaults,
    ...own,
    ...(match.length === 0 ? {} : { match }),
    ...(name === undefined ? {} : { name }),
  };
}

function joinNames(root: string | undefined, leaf: string | undefined): string | undefined {
  const parts = [root, leaf].filter((part) => part !== undefined && part !== '');
  return parts.length === 0 ? undefined : parts.join('-');
}

/** Each condition of the leaf once for each of the root that it lies within; there must be one. */
function mergeMatches(root: readonly HttpMatch[], leaf: readonly HttpMatch[]): readonly HttpMatch[] | undefined {
  if (root.length === 0) return leaf;
  if (leaf.length === 0) return root;
  const merged = leaf.map((inner) =>
    root.filter((outer) => !conflicts(outer, inner)).map((outer) => mergeMatch(outer, inner)),
  );
  return merged.some((some) => some.length === 0) ? undefined : merged.flat();
}

function mergeMatch(root: HttpMatch, leaf: HttpMatch): HttpMatch {
  const name = joinNames(root.name, leaf.name);
  const merged: HttpMatch = {
    ...root,
    ...leaf,
    ...mergedMap('headers', root, leaf),
    ...mergedMap('withoutHeaders', root, leaf),
    ...mergedMap('queryParams', root, leaf),
    ...mergedMap('sourceLabels', root, leaf),
    ...(name === undefined ? {} : { name }),
  };
  const gateways = (leaf.gateways ?? []).length > 0 ? leaf.gateways : root.gateways;
  const port = leaf.port ?? 0;
  return {
    ...merged,
    ...(gateways === undefined ? {} : { gateways }),
    ...(port === 0 && root.port !== undefined ? { port: root.port } : {}),
  };
}

type MapField = 'headers' | 'withoutHeaders' | 'queryParams' | 'sourceLabels';

function mergedMap(field: MapField, root: HttpMatch, leaf: HttpMatch): Partial<HttpMatch> {
  if (root[field] === undefined && leaf[field] === undefined) return {};
  return { [field]: { ...root[field], ...leaf[field] } };
}

/** Whether the inner match would take in what the outer one does not. */
function conflicts(outer: HttpMatch, inner: HttpMatch): boolean {
  if ((outer.ignoreUriCase ?? false) !== (inner.ignoreUriCase ?? false)) return true;
  const single = ['uri', 'scheme', 'method', 'authority'] as const;
  if (single.some((field) => stringConflict(outer[field], inner[field]))) return true;
  const maps = ['headers', 'withoutHeaders', 'queryParams'] as const;
  for (const field of maps) {
    for (const [key, match] of Object.entries(inner[field] ?? {})) {
      if (stringConflict(outer[field]?.[key], match)) return true;
    }
  }
  if ((outer.port ?? 0) !== 0 && (inner.port ?? 0) !== 0 && outer.port !== inner.port) return true;
  for (const [label, value] of Object.entries(inner.sourceLabels ?? {})) {
    const wanted = outer.sourceLabels?.[label];
    if (wanted !== undefined && wanted !== value) return true;
  }
  const namespace = outer.sourceNamespace ?? '';
  // Istio takes a leaf that names no namespace for one of all namespaces, though the other conditions are handed down.
  if (namespace !== '' && inner.sourceNamespace !== namespace) return true;
  const gateways = outer.gateways ?? [];
  return gateways.length > 0 && (inner.gateways ?? []).some((gateway) => !gateways.includes(gateway));
}

/** Whether one expression is narrower than another cannot be told, nor is mere presence taken for wider than a value. */
function stringConflict(outer: StringMatch | undefined, inner: StringMatch | undefined): boolean {
  if (outer === undefined || inner === undefined) return false;
  if (isSet(outer.exact)) return inner.exact !== outer.exact;
  if (!isSet(outer.prefix)) return true;
  const within = isSet(inner.prefix) ? inner.prefix : inner.exact;
  return within === undefined || !within.startsWith(outer.prefix);
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}
