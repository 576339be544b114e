// The resources that anybody is watching, one slot a cell, whoever and however many watch it.
import type { Graph } from '../graph/graph.ts';
import type { EncodedResource } from '../resource.ts';
import { cellIdOf, type ResourceRef } from '../translate/translator.ts';

/** A watched cell with the resource last read from it. `W` is who watches. */
export interface Slot<W> {
  readonly id: string;
  readonly ref: ResourceRef;
  resource: EncodedResource | undefined;
  /** Each watcher, with the names under which it knows the resource (nearly always one). */
  readonly watchers: Map<W, string | readonly string[]>;
}

/** All slots, by cell id as `Graph.takeMarked` names cells. */
export class Slots<W> {
  readonly #graph: Graph;
  readonly #slots = new Map<string, Slot<W>>();
  /** Slots whose query threw: they keep what they had and are tried again with each change. */
  readonly failed = new Set<Slot<W>>();
  readonly #onError: (error: unknown, what: string) => void;

  constructor(graph: Graph, onError: (error: unknown, what: string) => void) {
    this.#graph = graph;
    this.#onError = onError;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The slot of a cell, if anybody watches it. */
  byId(id: string): Slot<W> | undefined {
    return this.#slots.get(id);
  }

  /** Watches a cell under a name. */
  acquire(ref: ResourceRef, watcher: W, name: string): Slot<W> {
    const id = cellIdOf(ref);
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = { id, ref, resource: undefined, watchers: new Map() };
      this.#slots.set(id, slot);
      this.read(slot);
    }
    const names = namesOf(slot, watcher);
    if (!names.includes(name)) slot.watchers.set(watcher, names.length === 0 ? name : [...names, name]);
    return slot;
  }

  /** Stops watching; a cell that nobody watches is forgotten by the graph too. */
  release(slot: Slot<W>, watcher: W, name: string): void {
    const rest = namesOf(slot, watcher).filter((other) => other !== name);
    if (rest.length > 0) slot.watchers.set(watcher, rest);
    else slot.watchers.delete(watcher);
    if (slot.watchers.size > 0) return;
    this.#slots.delete(slot.id);
    this.failed.delete(slot);
    this.#graph.drop(slot.ref.query, slot.ref.key);
  }

  /** Reads a slot anew. Returns whether its bytes changed. A query that throws leaves the last good resource. */
  read(slot: Slot<W>): boolean {
    const before = slot.resource;
    try {
      slot.resource = this.#graph.read(slot.ref.query, slot.ref.key);
      this.failed.delete(slot);
    } catch (error) {
      if (!this.failed.has(slot)) this.#onError(error, slot.id.replaceAll('\u0000', ' '));
      this.failed.add(slot);
    }
    return before?.version !== slot.resource?.version;
  }
}

/** The names under which a watcher knows a slot. */
export function namesOf<W>(slot: Slot<W>, watcher: W): readonly string[] {
  const names = slot.watchers.get(watcher);
  return names === undefined ? [] : typeof names === 'string' ? [names] : names;
}
