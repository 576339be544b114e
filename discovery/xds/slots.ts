// The resources that anybody is watching, one slot a cell, whoever and however many watch it.
import type { Graph } from '../graph/graph.ts';
import type { EncodedResource } from '../resource.ts';
import type { ResourceRef } from '../translate/translator.ts';

/** A watched cell with the resource last read from it. `W` is who watches. */
export interface Slot<W> {
  /** Text of the cell's key. */
  readonly id: string;
  readonly ref: ResourceRef;
  /** The resource's name, whether or not it exists: the same for all who watch. */
  readonly name: string;
  resource: EncodedResource | undefined;
  watchers: W[];
}

/** Watchers up to which their list is copied where one is added. */
const mostCopied = 16;

/** All slots, by cell. */
export class Slots<W> {
  readonly #graph: Graph;
  // By query and then by key: joining the two to one text costs more than all else here.
  readonly #slots = new Map<string, Map<string, Slot<W>>>();
  readonly #byRef = new WeakMap<ResourceRef, Slot<W>>();
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

  /** The slot of a reference that somebody watches. */
  of(ref: ResourceRef | undefined): Slot<W> | undefined {
    if (ref === undefined) return undefined;
    const known = this.#byRef.get(ref);
    if (known !== undefined && known.watchers.length > 0) return known;
    const slot = this.byCell(ref.query.name, ref.query.idOf(ref.key));
    if (slot !== undefined) this.#byRef.set(ref, slot);
    return slot;
  }

  /** Watches a cell, which holds the resource of that name. */
  acquire(ref: ResourceRef, watcher: W, name: string): Slot<W> {
    let slot = this.#byRef.get(ref);
    if (slot === undefined || slot.watchers.length === 0) {
      slot = this.#slotOf(ref, name);
      this.#byRef.set(ref, slot);
    }
    if (slot.name !== name) throw new Error(`${ref.query.name} ${slot.id} is known as ${slot.name} and as ${name}`);
    // A list that grows takes room for more than it needs, and there are many slots with few watchers.
    if (slot.watchers.length < mostCopied) slot.watchers = slot.watchers.concat(watcher);
    else slot.watchers.push(watcher);
    return slot;
  }

  /** Takes one `acquire` back; the graph may forget a cell that nobody watches. */
  release(slot: Slot<W>, watcher: W): void {
    const { watchers } = slot;
    const at = watchers.indexOf(watcher);
    if (at >= 0) watchers.splice(at, 1);
    if (watchers.length > 0) return;
    this.#slots.get(slot.ref.query.name)?.delete(slot.id);
    this.failed.delete(slot);
    this.#graph.drop(slot.ref.query, slot.ref.key);
  }

  #slotOf(ref: ResourceRef, name: string): Slot<W> {
    let slots = this.#slots.get(ref.query.name);
    if (slots === undefined) {
      slots = new Map();
      this.#slots.set(ref.query.name, slots);
    }
    const id = ref.query.idOf(ref.key);
    let slot = slots.get(id);
    if (slot === undefined) {
      slot = { id, ref, name, resource: undefined, watchers: [] };
      slots.set(id, slot);
      this.#graph.hold(ref.query, ref.key);
      this.read(slot);
    }
    return slot;
  }

  /** Reads a slot anew. Returns whether its bytes changed. A query that throws leaves the last good resource. */
  read(slot: Slot<W>): boolean {
    const before = slot.resource;
    try {
      slot.resource = this.#graph.read(slot.ref.query, slot.ref.key);
      this.failed.delete(slot);
    } catch (error) {
      if (!this.failed.has(slot)) this.#onError(error, `${slot.ref.query.name} ${slot.name}`);
      this.failed.add(slot);
    }
    return before?.version !== slot.resource?.version;
  }
}
