// The engine of tracked reads: pure queries over inputs, recomputed only where what they read has changed.

import { isDeepStrictEqual } from 'node:util';
import { Cell, CHECK, CLEAN, DIRTY, RUNNING } from './cell.ts';
import type { Bucket, Collection, Index } from './collect.ts';

/** Reads a value and records that the running query depends on it. The only way a query reaches data. */
export interface Read {
  <K, V>(node: Readable<K, V>, key: K): V;
  /** The key object that a query's cell has already where there is one, else this equal one: for values that hold keys. */
  readonly keptKey: <K, V>(node: Query<K, V>, key: K) => K;
}

/** Anything that `read` accepts. */
export type Readable<K, V> = Input<K, V> | Query<K, V> | Collection<K, V> | Index<K, V>;

/** Data written from outside, by key. A key that was never written reads as undefined, and that absence is tracked too. */
export interface Input<K, V> {
  readonly node: 'input';
  readonly name: string;
  readonly idOf: (key: K) => string;
  equals(a: V, b: V): boolean;
}

/** A pure function of what it reads, remembered by key. */
export interface Query<K, V> {
  readonly node: 'query';
  readonly name: string;
  readonly idOf: (key: K) => string;
  readonly compute: (read: Read, key: K) => V;
  /** Early cut-off: readers are not recomputed when the new value equals the old one. */
  readonly equals: (a: V, b: V) => boolean;
  /** Outputs are reported by `takeMarked` when something below them may have changed. */
  readonly output: boolean;
  /** Readers keep their key objects and read with them again, so that a cell is found by its key's identity. */
  readonly keptKeys: boolean;
}

/** Declares an input. `idOf` must be injective; the default takes string keys as they are. */
export function input<V>(
  name: string,
  equals: (a: V, b: V) => boolean = isDeepStrictEqual,
): Input<string, V | undefined> {
  return Object.freeze({
    node: 'input' as const,
    name,
    idOf: (key: string) => key,
    equals: (a: V | undefined, b: V | undefined) => a === b || (a !== undefined && b !== undefined && equals(a, b)),
  });
}

/** Options of a query: how its key is written as text, when two values count as equal, whether it is an output. */
export interface QueryOptions<K, V> {
  readonly idOf?: (key: K) => string;
  readonly equals?: (a: V, b: V) => boolean;
  readonly output?: boolean;
  readonly keptKeys?: boolean;
}

/** Declares a query. Keys that are not strings need `idOf`, which must be injective. */
export function query<K, V>(
  name: string,
  compute: (read: Read, key: K) => V,
  options: QueryOptions<K, V> = {},
): Query<K, V> {
  return Object.freeze({
    node: 'query' as const,
    name,
    idOf: options.idOf ?? ((key: K) => (typeof key === 'string' ? key : JSON.stringify(key))),
    compute,
    equals: options.equals ?? ((a: V, b: V) => a === b || isDeepStrictEqual(a, b)),
    output: options.output ?? false,
    keptKeys: options.keptKeys ?? false,
  });
}

/** Names a cell in an explanation: the node's name and the key's text. */
export interface CellRef {
  readonly node: string;
  readonly id: string;
  readonly key: unknown;
}

interface Frame {
  readonly serial: number;
  readonly deps: Cell[];
}

/** How often each node was computed and how many cells it holds: what tests and metrics gate on. */
export interface GraphStats {
  readonly computed: ReadonlyMap<string, number>;
  readonly cells: ReadonlyMap<string, number>;
  readonly revision: number;
}

/**
 * Holds the cells of one world. Writes mark readers; reads outside a query settle the collections first.
 * Values must be treated as immutable by everyone.
 */
export class Graph {
  readonly #cells = new Map<unknown, Map<string, Cell>>();
  readonly #collections: readonly CollectionState[];
  readonly #computed = new Map<string, number>();
  readonly #marked = new Set<Cell>();
  readonly #byKey = new WeakMap<object, Cell>();
  #revision = 1;
  #frames = 0;
  #frame: Frame | undefined = undefined;
  #unsettled = false;
  #settling = false;
  readonly read: Read = Object.assign(<K, V>(node: Readable<K, V>, key: K): V => this.#read(node, key), {
    keptKey: <K, V>(node: Query<K, V>, key: K): K => {
      const cell = this.#cells.get(node)?.get(node.idOf(key));
      return cell === undefined ? key : (cell.key as K);
    },
  });

  /** `collections` in an order in which each reads only earlier ones. */
  constructor(collections: readonly Collection<string, unknown>[]) {
    this.#collections = collections.map((collection) => ({
      collection,
      members: new Map(),
      pending: new Set(),
      derivers: new Map(),
      indexes: collection.indexes as readonly Index<string, readonly string[]>[],
    }));
    this.#bySource = new Map();
    for (const state of this.#collections) {
      for (const source of state.collection.sources) {
        const list = this.#bySource.get(source) ?? [];
        list.push(state);
        this.#bySource.set(source, list);
      }
    }
  }
  readonly #bySource: Map<unknown, CollectionState[]>;

  /** Writes one input; undefined removes it. Does nothing where the value is equal. Returns whether it changed. */
  write<V>(node: Input<string, V | undefined>, key: string, value: V | undefined): boolean {
    if (this.#frame !== undefined) throw new Error(`graph: a query wrote input ${node.name}`);
    const cell = this.#cell(node as Readable<never, unknown>, key, key);
    if (node.equals(cell.value as V | undefined, value)) return false;
    cell.value = value;
    cell.state = CLEAN;
    this.#changed(cell);
    this.#sourceChanged(node, key);
    return true;
  }

  /** Output cells marked since the last call: all that a publish has to look at again. */
  takeMarked(): readonly CellRef[] {
    this.#settle();
    const refs = [...this.#marked].map(refOf);
    this.#marked.clear();
    return refs;
  }

  /** Forgets a query's cell if nobody reads it, and then what only it read. */
  drop<K, V>(node: Query<K, V>, key: K): void {
    const cell = this.#cells.get(node)?.get(node.idOf(key));
    if (cell !== undefined) this.#drop(cell);
  }

  /** The inputs that a value rests on, by a walk over its recorded dependencies; includes inputs that are absent. */
  inputsOf<K, V>(node: Query<K, V>, key: K): readonly CellRef[] {
    this.read(node, key);
    const found = new Map<Cell, true>();
    const seen = new Set<Cell>();
    const walk = (cell: Cell): void => {
      if (seen.has(cell)) return;
      seen.add(cell);
      if (cell.node.node === 'input') found.set(cell, true);
      for (const dep of cell.deps) walk(dep);
    };
    const start = this.#cells.get(node)?.get(node.idOf(key));
    if (start !== undefined) walk(start);
    return [...found.keys()].map(refOf);
  }

  /** The outputs that rest on an input. */
  outputsOf<K, V>(node: Input<K, V>, key: K): readonly CellRef[] {
    this.#settle();
    const found: Cell[] = [];
    const seen = new Set<Cell>();
    const walk = (cell: Cell): void => {
      if (seen.has(cell)) return;
      seen.add(cell);
      if (cell.node.node === 'query' && (cell.node as Query<never, unknown>).output) found.push(cell);
      cell.forEachReader(walk);
      for (const item of cell.makes) walk(item);
    };
    const start = this.#cells.get(node)?.get(node.idOf(key));
    if (start !== undefined) walk(start);
    return found.map(refOf);
  }

  /** Counts of work and of cells. */
  stats(): GraphStats {
    const cells = new Map<string, number>();
    for (const [node, map] of this.#cells) {
      const name = (node as { name: string }).name;
      cells.set(name, (cells.get(name) ?? 0) + map.size);
    }
    return { computed: new Map(this.#computed), cells, revision: this.#revision };
  }

  /** Every key of an input that holds a value, in order. For dumps; queries use collections instead. */
  keysOf(node: Input<string, unknown>): readonly string[] {
    const keys: string[] = [];
    for (const [id, cell] of this.#cells.get(node) ?? []) if (cell.value !== undefined) keys.push(id);
    return keys.sort();
  }

  #read<K, V>(node: Readable<K, V>, key: K): V {
    if (this.#frame === undefined) this.#settle();
    const cell = this.#find(node, key);
    const frame = this.#frame;
    if (frame !== undefined && cell.lastFrame !== frame.serial) {
      cell.lastFrame = frame.serial;
      frame.deps.push(cell);
    }
    this.#refresh(cell);
    // A nested computation may have read the same cell under its own serial; restore ours.
    if (frame !== undefined) cell.lastFrame = frame.serial;
    return cell.value as V;
  }

  #find<K, V>(node: Readable<K, V>, key: K): Cell {
    const kept = node.node === 'query' && node.keptKeys && typeof key === 'object' && key !== null;
    const known = kept ? this.#byKey.get(key) : undefined;
    if (known !== undefined && known.node === (node as unknown) && !known.dropped) return known;
    const cell = this.#cell(node as unknown as Readable<never, unknown>, key, node.idOf(key));
    if (kept) this.#byKey.set(key, cell);
    return cell;
  }

  #cell(node: Readable<never, unknown>, key: unknown, id: string): Cell {
    let map = this.#cells.get(node);
    if (map === undefined) {
      map = new Map();
      this.#cells.set(node, map);
    }
    let cell = map.get(id);
    if (cell === undefined) {
      cell = new Cell(node, key, id);
      if (node.node !== 'query') cell.state = CLEAN;
      if (node.node === 'index') cell.value = EMPTY;
      map.set(id, cell);
    }
    return cell;
  }

  #refresh(cell: Cell): void {
    if (cell.state === CLEAN) return;
    if (cell.state === RUNNING) throw new Error(`graph: ${cell.node.name} ${cell.id} reads itself`);
    if (cell.state === CHECK && !this.#anyDepChanged(cell)) {
      cell.state = CLEAN;
      cell.verifiedAt = this.#revision;
      return;
    }
    this.#compute(cell);
  }

  #anyDepChanged(cell: Cell): boolean {
    for (const dep of cell.deps) {
      this.#refresh(dep);
      if (dep.changedAt > cell.verifiedAt) return true;
    }
    return false;
  }

  #compute(cell: Cell): void {
    const node = cell.node as unknown as Query<unknown, unknown>;
    const outer = this.#frame;
    const frame: Frame = { serial: ++this.#frames, deps: [] };
    this.#frame = frame;
    cell.state = RUNNING;
    let value: unknown;
    try {
      value = node.compute(this.read, cell.key);
    } catch (error) {
      cell.state = DIRTY;
      throw error;
    } finally {
      this.#frame = outer;
      this.#relink(cell, frame);
    }
    this.#computed.set(node.name, (this.#computed.get(node.name) ?? 0) + 1);
    if (cell.changedAt === 0 || !node.equals(cell.value, value)) {
      cell.value = value;
      cell.changedAt = this.#revision;
    }
    cell.state = CLEAN;
    cell.verifiedAt = this.#revision;
  }

  #relink(cell: Cell, frame: Frame): void {
    const old = cell.deps;
    const now = frame.deps;
    // Most recomputations read what the one before read, in the same order: only what lies between differs.
    let start = 0;
    while (start < now.length && start < old.length && now[start] === old[start]) start++;
    let tail = 0;
    const most = Math.min(now.length, old.length) - start;
    while (tail < most && now[now.length - 1 - tail] === old[old.length - 1 - tail]) tail++;
    const added = now.slice(start, now.length - tail);
    for (const dep of added) dep.addReader(cell);
    if (old.length - start - tail > 0) {
      const kept = new Set(now);
      for (const dep of old.slice(start, old.length - tail)) if (!kept.has(dep)) dep.removeReader(cell);
    }
    // A list that grew has room for more; a copy has not.
    cell.deps = now.slice();
  }

  #changed(cell: Cell): void {
    cell.changedAt = ++this.#revision;
    cell.forEachReader(this.#markDirty);
  }

  #mark(cell: Cell, state: typeof CHECK | typeof DIRTY): void {
    const before = cell.state;
    if (before === DIRTY || before === RUNNING || (before === CHECK && state === CHECK)) return;
    cell.state = state;
    if (before === CHECK) return;
    if ((cell.node as unknown as Query<never, unknown>).output) this.#marked.add(cell);
    cell.onMark?.(cell);
    cell.forEachReader(this.#markCheck);
  }

  readonly #markDirty = (cell: Cell): void => this.#mark(cell, DIRTY);
  readonly #markCheck = (cell: Cell): void => this.#mark(cell, CHECK);

  #drop(cell: Cell): void {
    if (cell.isRead || cell.onMark !== undefined || cell.node.node !== 'query') return;
    this.#cells.get(cell.node)?.delete(cell.id);
    cell.dropped = true;
    this.#marked.delete(cell);
    for (const dep of cell.deps) {
      dep.removeReader(cell);
      this.#drop(dep);
    }
    cell.deps = [];
  }

  #sourceChanged(source: unknown, key: string): void {
    for (const state of this.#bySource.get(source) ?? []) {
      const id = `${state.collection.sources.indexOf(source as never)}|${key}`;
      const member = state.members.get(id);
      if (member === undefined) state.pending.add(this.#addMember(state, source, key, id));
      else state.pending.add(member);
      this.#unsettled = true;
    }
  }

  #addMember(state: CollectionState, source: unknown, key: string, id: string): Member {
    const cell = new Cell(this.#deriverOf(state, source), key, id);
    const member: Member = { cell, items: EMPTY_ITEMS };
    cell.onMark = () => {
      state.pending.add(member);
      this.#unsettled = true;
    };
    state.members.set(id, member);
    return member;
  }

  /** The query behind the members that a collection has from one source. */
  #deriverOf({ collection, derivers }: CollectionState, source: unknown): Readable<never, unknown> {
    let deriver = derivers.get(source);
    if (deriver === undefined) {
      const derived = query<string, ReadonlyMap<string, unknown>>(
        `${collection.name}.derive`,
        (read, key) => {
          const value = read(source as Input<string, unknown>, key);
          return value === undefined ? EMPTY_ITEMS : collection.derive(read, key, value, source as never);
        },
        { equals: () => false },
      );
      deriver = derived as unknown as Readable<never, unknown>;
      derivers.set(source, deriver);
    }
    return deriver;
  }

  #settle(): void {
    if (!this.#unsettled || this.#settling) return;
    this.#settling = true;
    try {
      // A collection reads only earlier ones, so one pass in order reaches a fixed point.
      for (const state of this.#collections) this.#settleCollection(state);
      this.#unsettled = this.#collections.some((state) => state.pending.size > 0);
      if (this.#unsettled) throw new Error('graph: a collection reads one that is declared after it');
    } finally {
      this.#settling = false;
    }
  }

  #settleCollection(state: CollectionState): void {
    if (state.pending.size === 0) return;
    const pending = [...state.pending];
    state.pending.clear();
    const buckets = new Map<Cell, Bucket>();
    for (const member of pending) {
      this.#refresh(member.cell);
      const next = member.cell.value as ReadonlyMap<string, unknown>;
      this.#replaceItems(state, member, next, buckets);
      member.items = next;
      if (next.size === 0 && this.#sourceIsGone(member.cell)) this.#forgetMember(state, member);
    }
    for (const [cell, bucket] of buckets) this.#storeBucket(cell, bucket);
  }

  #sourceIsGone(cell: Cell): boolean {
    const first = cell.deps[0];
    return first !== undefined && (first.value === undefined || first.value === EMPTY);
  }

  #forgetMember(state: CollectionState, member: Member): void {
    for (const dep of member.cell.deps) {
      dep.removeReader(member.cell);
      this.#drop(dep);
    }
    state.members.delete(member.cell.id);
  }

  #replaceItems(
    state: CollectionState,
    member: Member,
    after: ReadonlyMap<string, unknown>,
    buckets: Map<Cell, Bucket>,
  ): void {
    const before = member.items;
    for (const [key, old] of before) if (!after.has(key)) this.#setItem(state, key, old, undefined, buckets);
    const made: Cell[] = [];
    for (const [key, value] of after) {
      const cell = this.#setItem(state, key, before.get(key), value, buckets);
      cell.deps = [member.cell];
      made.push(cell);
    }
    member.cell.makes = made;
  }

  #setItem(state: CollectionState, key: string, old: unknown, value: unknown, buckets: Map<Cell, Bucket>): Cell {
    const { collection } = state;
    const cell = this.#cell(collection as unknown as Readable<never, unknown>, key, key);
    if (old !== undefined && value !== undefined && collection.equals(old, value)) return cell;
    for (const index of state.indexes) {
      const left = old === undefined ? [] : index.entries(old as never, key);
      const joined = value === undefined ? [] : index.entries(value as never, key);
      for (const entry of left) if (!joined.includes(entry)) this.#bucket(index, entry, buckets).delete(key);
      for (const entry of joined) if (!left.includes(entry)) this.#bucket(index, entry, buckets).add(key);
    }
    cell.value = value;
    cell.deps = [];
    this.#changed(cell);
    this.#sourceChanged(collection, key);
    return cell;
  }

  #bucket(index: Index<string, readonly string[]>, entry: string, buckets: Map<Cell, Bucket>): Bucket {
    const cell = this.#cell(index as unknown as Readable<never, unknown>, entry, entry);
    let bucket = buckets.get(cell);
    if (bucket === undefined) {
      bucket = new Set(cell.value as readonly string[]);
      buckets.set(cell, bucket);
    }
    return bucket;
  }

  #storeBucket(cell: Cell, bucket: Bucket): void {
    const next = [...bucket].sort();
    const now = cell.value as readonly string[];
    if (next.length === now.length && next.every((key, i) => key === now[i])) return;
    cell.value = next.length === 0 ? EMPTY : next;
    this.#changed(cell);
    this.#sourceChanged(cell.node, cell.id);
  }
}

const EMPTY: readonly string[] = Object.freeze([]);
const EMPTY_ITEMS: ReadonlyMap<string, unknown> = new Map();

interface Member {
  cell: Cell;
  items: ReadonlyMap<string, unknown>;
}

interface CollectionState {
  readonly collection: Collection<string, unknown>;
  readonly members: Map<string, Member>;
  readonly pending: Set<Member>;
  /** By source. */
  readonly derivers: Map<unknown, Readable<never, unknown>>;
  readonly indexes: readonly Index<string, readonly string[]>[];
}

function refOf(cell: Cell): CellRef {
  return { node: cell.node.name, id: cell.id, key: cell.key };
}
