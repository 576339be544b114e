// Objects as the model counts them: those of namespaces that the mesh takes notice of. The one way from inputs to facts.
import { type KindName, kinds, type ObjectOf } from '../../config/kinds/kinds.ts';
import { type Collection, collection, type Source } from '../graph/collect.ts';
import type { Input, Read } from '../graph/graph.ts';
import { isDiscovered } from './discovered.ts';
import { mesh, objects } from './objects.ts';

/** A typed object of one of several kinds. */
type ObjectOfAny<K extends KindName> = { [Each in K]: ObjectOf<Each> }[K];

/**
 * Declares a collection derived from the objects of some kinds; `derive` sees those of namespaces that count
 * (discovered.ts) and is not asked about others. `standIns` are collections of objects that others stand for, which
 * count wherever they are: whether those others do was looked at when they were made.
 */
export function objectCollection<K extends KindName, V>(
  name: string,
  of: readonly K[],
  derive: (read: Read, key: string, object: ObjectOfAny<K>, source: Source) => ReadonlyMap<string, V>,
  standIns: readonly Collection<string, ObjectOfAny<K> | undefined>[] = [],
): Collection<string, V | undefined> {
  const sources = of.map((kind) => objects[kind] as unknown as Input<string, ObjectOfAny<K> | undefined>);
  const counts = (read: Read, object: ObjectOfAny<K>, source: Source): boolean =>
    standIns.some((one) => one === (source as unknown)) || isCounted(read, object.kind, object.metadata.namespace);
  return collection<ObjectOfAny<K>, V>(name, [...sources, ...standIns], (read, key, object, source) =>
    counts(read, object, source) ? derive(read, key, object, source) : new Map(),
  );
}

/** One object by `namespace/name`; undefined where there is none or its namespace does not count. */
export function objectOf<K extends KindName>(read: Read, kind: K, key: string): ObjectOf<K> | undefined {
  const object = read(objects[kind], key) as ObjectOf<K> | undefined;
  return object !== undefined && isCounted(read, kind, object.metadata.namespace) ? object : undefined;
}

/**
 * The root namespace holds what is meant for the whole mesh, so its configuration counts even where the selectors leave
 * it out; its services and workloads do not. (istiod leaves such configuration out too.)
 */
export function isCounted(read: Read, kind: KindName, namespace: string): boolean {
  if (read(isDiscovered, namespace)) return true;
  return kinds[kind].group.endsWith('.istio.io') && namespace === read(mesh, 'mesh').rootNamespace;
}
