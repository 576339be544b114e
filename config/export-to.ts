// exportTo: to which namespaces an object is visible, by its own list or the mesh's default.
import type { MeshConfig } from './mesh.ts';
import { compareText } from './object.ts';

/** Namespaces to which an object is visible: everyone, or the named ones (its own included only if named). */
export type ExportTo = 'everyone' | readonly string[];

/** Kinds that have a default of their own in the mesh configuration. */
export type ExportedKind = 'service' | 'virtualService' | 'destinationRule';

/** Reads a list of `*`, `.`, `~` and namespaces. An empty list says nothing: give the default for it. */
export function parseExportTo(values: readonly string[], namespace: string): ExportTo {
  const trimmed = values.map((value) => value.trim()).filter((value) => value !== '');
  if (trimmed.includes('*')) return 'everyone';
  const named = trimmed.filter((value) => value !== '~').map((value) => (value === '.' ? namespace : value));
  return [...new Set(named)].sort(compareText);
}

/** Whether objects so exported are visible in a namespace. */
export function exportedTo(exportTo: ExportTo, namespace: string): boolean {
  return exportTo === 'everyone' || exportTo.includes(namespace);
}

/** The mesh's default list for a kind, `*` where it has none. */
export function defaultExportToOf(mesh: MeshConfig, kind: ExportedKind): readonly string[] {
  const lists = {
    service: mesh.defaultServiceExportTo,
    virtualService: mesh.defaultVirtualServiceExportTo,
    destinationRule: mesh.defaultDestinationRuleExportTo,
  };
  const list = lists[kind] ?? [];
  return list.length === 0 ? ['*'] : list;
}
