// Keyed collections derived from inputs, kept eagerly and with indexes, so that no query has to list the world.
import { isDeepStrictEqual } from 'node:util';
import type { Input, Read } from './graph.ts';

/** Keys of the items that share one index entry, while it is being changed. */
export type Bucket = Set<string>;

/**
 * Items derived one source item at a time: `derive` gets a source's key and value and gives items by key. Keys must be
 * unique over all sources. Reading an absent key gives undefined, and is tracked.
 */
export interface Collection<K, V> {
  readonly node: 'collection';
  readonly name: string;
  readonly idOf: (key: K) => string;
  readonly sources: readonly Source[];
  readonly derive: (read: Read, key: string, value: unknown, source: Source) => ReadonlyMap<string, unknown>;
  readonly equals: (a: unknown, b: unknown) => boolean;
  readonly indexes: Index<string, readonly string[]>[];
  /** Only for types: what an item is. */
  readonly item?: V;
}

/** What a collection can be derived from. */
export type Source =
  | Input<string, never>
  | Collection<string, never>
  | Input<string, unknown>
  | Collection<string, unknown>
  | Index<string, readonly string[]>;

/** Sorted keys of a collection's items by entry. Changes only when membership does. */
export interface Index<K, V> {
  readonly node: 'index';
  readonly name: string;
  readonly idOf: (key: K) => string;
  readonly entries: (item: never, key: string) => readonly string[];
  /** Only for types. */
  readonly keys?: V;
}

/** Declares a collection over one or several sources (inputs or earlier collections). */
export function collection<S, V>(
  name: string,
  sources: readonly (Input<string, S | undefined> | Collection<string, S | undefined>)[],
  derive: (read: Read, key: string, value: S, source: Source) => ReadonlyMap<string, V>,
  equals: (a: V, b: V) => boolean = isDeepStrictEqual,
): Collection<string, V | undefined> {
  return {
    node: 'collection',
    name,
    idOf: (key: string) => key,
    sources: sources as unknown as readonly Source[],
    derive: derive as Collection<string, unknown>['derive'],
    equals: equals as (a: unknown, b: unknown) => boolean,
    indexes: [],
  };
}

/** Declares a collection with one item for each entry of an index, made of all items that share the entry. */
export function grouped<V>(
  name: string,
  by: Index<string, readonly string[]>,
  derive: (read: Read, entry: string, keys: readonly string[]) => V | undefined,
): Collection<string, V | undefined> {
  const group = collection<unknown, V>(name, [], (read, entry, keys) => {
    const members = keys as readonly string[];
    const value = members.length === 0 ? undefined : derive(read, entry, members);
    return value === undefined ? new Map() : new Map([[entry, value]]);
  });
  return { ...group, sources: [by] };
}

/** Declares an index of a collection: `entries` gives the entries an item stands under. */
export function index<V>(
  name: string,
  of: Collection<string, V | undefined>,
  entries: (item: V, key: string) => readonly string[],
): Index<string, readonly string[]> {
  const declared: Index<string, readonly string[]> = Object.freeze({
    node: 'index' as const,
    name,
    idOf: (key: string) => key,
    entries: entries as Index<string, readonly string[]>['entries'],
  });
  of.indexes.push(declared);
  return declared;
}
