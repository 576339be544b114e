// The resources that anybody is watching, one slot a cell, whoever and however many watch it.
import type { Graph } from '../graph/graph.ts';
import type { EncodedResource } from '../resource.ts';
import type { ResourceRef } from '../translate/translator.ts';

/** A watched cell with the resource last read from it. `W` is who watches. */
export interface Slot<W> {
  /** Text of the cell's key. */
  readonly id: string;
  readonly ref: ResourceRef;
  resource: EncodedResource | undefined;
  /** Each watcher, with the names under which it knows the resource (nearly always one). */
  readonly watchers: Map<W, string | readonly string[]>;
}

/** All slots, by cell. */
export class Slots<W> {
  readonly #graph: Graph;
  // By query and then by key: joining the two to one text costs more than all else here.
  readonly #slots = new Map<string, Map<string, Slot<W>>>();
  /** Slots whose query threw: they keep what they had and are tried again with each change. */
  readonly failed = new Set<Slot<W>>();
  readonly #onError: (error: unknown, what: string) => void;

  constructor(graph: Graph, onError: (error: unknown, what: string) => void) {
    this.#graph = graph;
    this.#onError = onError;
  }

  get size(): number {
    let size = 0;
    for (const slots of this.#slots.values()) size += slots.size;
    return size;
  }

  /** The slot of a cell, if anybody watches it; node and id as `Graph.takeMarked` gives them. */
  byCell(node: string, id: string): Slot<W> | undefined {
    return this.#slots.get(node)?.get(id);
  }

  /** Watches a cell under a name. */
  acquire(ref: ResourceRef, watcher: W, name: string): Slot<W> {
    let slots = this.#slots.get(ref.query.name);
    if (slots === undefined) {
      slots = new Map();
      this.#slots.set(ref.query.name, slots);
    }
    const id = ref.query.idOf(ref.key);
    let slot = slots.get(id);
    if (slot === undefined) {
      slot = { id, ref, resource: undefined, watchers: new Map() };
      slots.set(id, slot);
      this.read(slot);
    }
    const names = slot.watchers.get(watcher);
    if (names === undefined) slot.watchers.set(watcher, name);
    else if (names !== name && !namesOf(slot, watcher).includes(name)) {
      slot.watchers.set(watcher, [...namesOf(slot, watcher), name]);
    }
    return slot;
  }

  /** Stops watching; a cell that nobody watches is forgotten by the graph too. */
  release(slot: Slot<W>, watcher: W, name: string): void {
    const rest = namesOf(slot, watcher).filter((other) => other !== name);
    if (rest.length > 0) slot.watchers.set(watcher, rest);
    else slot.watchers.delete(watcher);
    if (slot.watchers.size > 0) return;
    this.#slots.get(slot.ref.query.name)?.delete(slot.id);
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
      if (!this.failed.has(slot)) this.#onError(error, `${slot.ref.query.name} ${slot.id}`);
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
