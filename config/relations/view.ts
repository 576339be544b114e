// What relations are judged against: the other objects, and the mesh's settings. The store is one.
import type { KindName, ObjectOf } from '../kinds/kinds.ts';
import type { MeshConfig } from '../mesh.ts';
import { hostWithin } from '../rules/hosts.ts';

/** The objects that exist. */
export interface ObjectView {
  /** One object by `namespace/name`. */
  get<K extends KindName>(kind: K, key: string): ObjectOf<K> | undefined;
  /** All objects of a kind. */
  list<K extends KindName>(kind: K): readonly ObjectOf<K>[];
}

/** The objects that exist, and what else decides about references. */
export interface Surroundings {
  readonly objects: ObjectView;
  readonly mesh: MeshConfig;
  /** DNS domain of services, `cluster.local`. */
  readonly domain: string;
}

/** The full name of a host that an object of `namespace` mentions: one without a dot is a service of that namespace. */
export function fullHost(host: string, namespace: string, domain: string): string {
  const lower = host.toLowerCase();
  return lower.includes('.') || lower === '*' || lower === '' ? lower : `${lower}.${namespace}.svc.${domain}`;
}

/** The Service behind a full name, if it has the form of one and exists. */
export function serviceOf({ objects, domain }: Surroundings, host: string): ObjectOf<'Service'> | undefined {
  const suffix = `.svc.${domain}`;
  if (!host.endsWith(suffix)) return undefined;
  const [name, namespace, ...rest] = host.slice(0, -suffix.length).split('.');
  if (name === undefined || namespace === undefined || rest.length > 0) return undefined;
  return objects.get('Service', `${namespace}/${name}`);
}

/** The ServiceEntries that have a host, exactly or by a wildcard. */
export function entriesOf({ objects }: Surroundings, host: string): readonly ObjectOf<'ServiceEntry'>[] {
  return objects
    .list('ServiceEntry')
    .filter(({ spec }) => (spec.hosts ?? []).some((other) => hostWithin(host, other.toLowerCase())));
}

/** `a/b` as it stands, `b` in the given namespace. */
export function qualifiedKey(reference: string, namespace: string): string {
  return reference.includes('/') ? reference : `${namespace}/${reference}`;
}
