// How a VirtualService's route and one of its delegate become one route.
import type { StringMatch } from '../../config/kinds/common.ts';
import type { HttpMatch, HttpRoute } from '../../config/kinds/virtual-service.ts';

/**
 * Merges a delegate's route into the root's that names it: matches must be narrower than the root's, what the root
 * sets wins. Undefined where no match is left.
 */
export function mergeDelegate(root: HttpRoute, leaf: HttpRoute): HttpRoute | undefined {
  const match = mergeMatches(root.match ?? [], leaf.match ?? []);
  if (match === undefined) return undefined;
  const { delegate: _delegate, match: _match, name: _name, route: _route, redirect: _redirect, ...overriding } = root;
  const { match: _own, name: _leafName, ...rest } = leaf;
  const name = joinNames(root.name, leaf.name);
  return {
    ...rest,
    ...defined(overriding),
    ...(match.length === 0 ? {} : { match }),
    ...(name === undefined ? {} : { name }),
  };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

function joinNames(root: string | undefined, leaf: string | undefined): string | undefined {
  const parts = [root, leaf].filter((part) => part !== undefined && part !== '');
  return parts.length === 0 ? undefined : parts.join('-');
}

function mergeMatches(root: readonly HttpMatch[], leaf: readonly HttpMatch[]): readonly HttpMatch[] | undefined {
  if (root.length === 0) return leaf;
  if (leaf.length === 0) return root;
  const merged = leaf.flatMap((inner) =>
    root.filter((outer) => !conflicts(outer, inner)).map((outer) => mergeMatch(outer, inner)),
  );
  return merged.length === 0 ? undefined : merged;
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
  if (bothDiffer(outer.sourceNamespace, inner.sourceNamespace)) return true;
  const gateways = outer.gateways ?? [];
  return gateways.length > 0 && (inner.gateways ?? []).some((gateway) => !gateways.includes(gateway));
}

function bothDiffer(a: string | undefined, b: string | undefined): boolean {
  return (a ?? '') !== '' && (b ?? '') !== '' && a !== b;
}

function stringConflict(outer: StringMatch | undefined, inner: StringMatch | undefined): boolean {
  if (outer === undefined || inner === undefined) return false;
  // Whether one expression is narrower than another cannot be told, so they never go together.
  if (isSet(outer.regex) || isSet(inner.regex)) {
    return [outer, inner].every((match) => isSet(match.regex) || isSet(match.prefix) || isSet(match.exact));
  }
  if (isSet(outer.exact)) return inner.exact !== outer.exact;
  const prefix = outer.prefix ?? '';
  return !(isSet(inner.exact) ? inner.exact : (inner.prefix ?? '')).startsWith(prefix);
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}
