// Where objects are at a Kubernetes API server.
import { type KindName, kinds } from '../kinds/kinds.ts';

/** The path of a kind's objects in one of its versions: of one namespace, or of all. */
export function collectionPath(kind: KindName, version: string, namespace?: string): string {
  const { group, plural } = kinds[kind];
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespace === undefined
    ? `${root}/${plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** The path of a namespaced object in one of its kind's versions. */
export function objectPath(kind: KindName, version: string, namespace: string, name: string): string {
  return `${collectionPath(kind, version, namespace)}/${encodeURIComponent(name)}`;
}
