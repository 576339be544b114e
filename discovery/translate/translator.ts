// The contract between translators and the server: directories name resources, resource queries hold their bytes.
import { type Query, query, type Read } from '../graph/graph.ts';
import { keyText } from '../graph/key-text.ts';
import type { Flavour } from '../proxy/proxy.ts';
import { type Facet, type Facets, facetsId, type ProxyClass, pickFacets } from '../proxy/proxy-class.ts';
import { type EncodedResource, sameResource } from '../resource.ts';
import type { ResourceType } from '../xds-types.ts';
import { layersOf } from './layered-directory.ts';

/**
 * Points at the cell that holds a resource. The key says all that the bytes depend on besides tracked reads, so that
 * classes which resolve to the same key share one cell.
 */
export interface ResourceRef<K = never> {
  readonly query: Query<K, EncodedResource | undefined>;
  readonly key: K;
}

/** Resources of one type for one class, by name. What a wildcard subscriber gets is exactly the map's keys. */
export type Directory = ReadonlyMap<string, ResourceRef>;

/** Gives the resources of one type for one flavour. */
export interface Translator<F extends Facet> {
  readonly type: ResourceType;
  /** Facets on which the choice of resources depends; `list` and `find` receive no others. */
  readonly facets: readonly F[];
  /** Names and cells of all resources of the class. Empty for types that are only asked for by name. */
  readonly list: (read: Read, client: Facets<F>) => Directory;
  /**
   * A resource asked for by a name that `list` did not give. Undefined: it does not exist (delta: removed; SotW: left
   * out). Types whose clients wait for an answer give an empty resource instead (contract 1.8).
   */
  readonly find?: (read: Read, client: Facets<F>, name: string) => ResourceRef | undefined;
}

/** A flavour's translators: complete by type, or explicitly without the type. */
export type FlavourTable = { readonly [T in ResourceType]: ErasedTranslator | 'not served' };

/** Every flavour has a table: a flavour that lacks a type does not compile. */
export type TranslatorTable = { readonly [F in Flavour]: FlavourTable };

/** A translator whose facets have been erased, to be called with a whole class. */
export interface ErasedTranslator {
  readonly type: ResourceType;
  readonly facets: readonly Facet[];
  readonly directory: Query<ProxyClass, Directory>;
  /** The reference of a name that the directory lacks; a query, so that the choice is tracked. */
  readonly found: Query<NamedRequest, ResourceRef | undefined>;
}

/** A resource asked for by name, by a class. */
export interface NamedRequest {
  readonly client: ProxyClass;
  readonly name: string;
}

/** Declares a translator. Classes that are equal in its facets share its directory's cell. */
export function defineTranslator<const F extends Facet>(name: string, translator: Translator<F>): ErasedTranslator {
  const { type, facets, list, find } = translator;
  // Asked for with each look at a view; a class never changes.
  const ids = new WeakMap<ProxyClass, string>();
  const idOf = (client: ProxyClass): string => {
    let id = ids.get(client);
    if (id === undefined) {
      id = keyText(facetsId(pickFacets<Facet>(client, facets)));
      ids.set(client, id);
    }
    return id;
  };
  return Object.freeze({
    type,
    facets,
    directory: query<ProxyClass, Directory>(
      `${name}.directory`,
      (read, client) => list(read, pickFacets<F>(client, facets)),
      { idOf, equals: sameDirectory, output: true },
    ),
    found: query<NamedRequest, ResourceRef | undefined>(
      `${name}.found`,
      (read, { client, name: wanted }) => find?.(read, pickFacets<F>(client, facets), wanted),
      {
        idOf: ({ client, name: wanted }) => `${wanted}\u0000${idOf(client)}`,
        equals: sameRef,
        output: true,
      },
    ),
  });
}

/** A resource query: an output whose equality is that of the bytes' versions. */
export function resourceQuery<K>(
  name: string,
  idOf: (key: K) => string,
  compute: (read: Read, key: K) => EncodedResource | undefined,
): Query<K, EncodedResource | undefined> {
  return query(name, compute, { idOf, equals: sameResource, output: true, keptKeys: true });
}

/** A reference to a cell, its key's type erased. */
export function refTo<K>(cell: Query<K, EncodedResource | undefined>, key: K): ResourceRef {
  return { query: cell, key } as unknown as ResourceRef;
}

/** Whether two directories name the same cells. */
export function sameDirectory(a: Directory, b: Directory): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  const [layersA, layersB] = [layersOf(a), layersOf(b)];
  // Layers that agree in size are compared apart: the shared one is mostly the same object.
  if (layersA !== undefined && layersB !== undefined && layersA[1].size === layersB[1].size) {
    return sameDirectory(layersA[1], layersB[1]) && sameDirectory(layersA[0], layersB[0]);
  }
  for (const [name, ref] of a) {
    if (!sameRef(b.get(name), ref)) return false;
  }
  return true;
}

function sameRef(a: ResourceRef | undefined, b: ResourceRef | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.query === b.query && (a.key === b.key || a.query.idOf(a.key) === b.query.idOf(b.key));
}
