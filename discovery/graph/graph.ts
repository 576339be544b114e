// The engine of tracked reads: pure queries over inputs, recomputed only where what they read has changed.

import { isDeepStrictEqual } from 'node:util';
import { type Cell, CHECK, CLEAN, DIRTY, MemberCell, RUNNING } from './cell.ts';
import { Cells, type Node } from './cells.ts';
import type { Collection, Index } from './collect.ts';
import { Collections, type Failure } from './collections.ts';
import { keyText } from './key-text.ts';

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

/** Declares a query. A key that is a string is its own text; others are written by `idOf`, which must be injective. */
export function query<K, V>(
  name: string,
  compute: (read: Read, key: K) => V,
  options: QueryOptions<K, V> = {},
): Query<K, V> {
  const { idOf = (key: K) => JSON.stringify(key) } = options;
  return Object.freeze({
    node: 'query' as const,
    name,
    idOf: (key: K) => (typeof key === 'string' ? key : keyText(idOf(key))),
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

/** What a computation has read so far, each cell once. */
class Frame {
  readonly deps: Cell[] = [];
  #noted: Set<Cell> | undefined = undefined;

  note(cell: Cell): void {
    if (this.#noted?.has(cell) ?? this.deps.includes(cell)) return;
    this.deps.push(cell);
    if (this.#noted !== undefined) this.#noted.add(cell);
    else if (this.deps.length > mostSearched) this.#noted = new Set(this.deps);
  }
}

/** Up to so many dependencies a search is faster than a set. */
const mostSearched = 16;

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
  readonly #cells: Cells;
  readonly #collections: Collections;
  readonly #computed = new Map<string, number>();
  readonly #marked = new Set<Cell>();
  #revision = 1;
  #frame: Frame | undefined = undefined;
  #tellFailure: ((error: unknown, what: string) => void) | undefined = undefined;
  readonly read: Read = Object.assign(<K, V>(node: Readable<K, V>, key: K): V => this.#read(node, key), {
    keptKey: <K, V>(node: Query<K, V>, key: K): K => (this.#cells.find(node, key)?.key ?? key) as K,
  });

  /** `collections` in an order in which each reads only earlier ones. Reading any other throws. */
  constructor(collections: readonly Collection<string, unknown>[]) {
    const filled = new Set(collections.flatMap((one) => [one, ...one.indexes]) as unknown as readonly Node[]);
    for (const { name, sources } of collections) {
      const missing = (sources as readonly unknown[] as readonly Node[]).find(
        (source) => source.node !== 'input' && !filled.has(source),
      );
      if (missing !== undefined)
        throw new Error(`graph: ${name} is made of ${missing.name}, which this graph does not keep`);
    }
    this.#cells = new Cells(filled);
    this.#collections = new Collections(collections, {
      cells: this.#cells,
      refresh: (cell) => this.#refresh(cell),
      changed: (cell) => this.#changed(cell),
      failed: (failures) => this.#failed(failures),
    });
  }

  /**
   * Has items that cannot be derived told of, each time they are tried in vain: they stay as they are, and all others
   * follow what was written. Without anybody to tell, the read that settled the collections throws, once they are settled.
   */
  onFailure(tell: (error: unknown, what: string) => void): void {
    this.#tellFailure = tell;
  }

  /** Writes one input; undefined removes it. Does nothing where the value is equal. Returns whether it changed. */
  write<V>(node: Input<string, V | undefined>, key: string, value: V | undefined): boolean {
    if (this.#frame !== undefined) throw new Error(`graph: a query wrote input ${node.name}`);
    const cell = this.#cells.of(node, key);
    const changed = !node.equals(cell.value as V | undefined, value);
    if (changed) {
      cell.value = value;
      this.#changed(cell);
      this.#collections.sourceChanged(node, key);
    }
    this.#cells.noteUnwanted(cell);
    return changed;
  }

  /** Output cells marked since the last call: all that a publish has to look at again. */
  takeMarked(): readonly CellRef[] {
    this.#collections.settle();
    const refs = [...this.#marked].map(refOf);
    this.#marked.clear();
    return refs;
  }

  /**
   * Keeps a query's cell although no other reads it, until `drop`; holding twice is holding once. Whoever wants to hear
   * of an output by `takeMarked` holds it; whoever reads from outside without holding may have it computed anew.
   */
  hold<K, V>(node: Query<K, V>, key: K): void {
    this.#cells.hold(node, key);
  }

  /** Takes `hold` back: a sweep forgets the cell if nobody reads it, and then what only it read. */
  drop<K, V>(node: Query<K, V>, key: K): void {
    this.#cells.drop(node, key);
  }

  /** How many cells seem to be wanted by nobody, for deciding when to sweep. */
  get unwanted(): number {
    return this.#cells.unwanted;
  }

  /**
   * Forgets cells that nobody reads and that have no value of their own, until nothing is left or `due` says to stop.
   * May go on at any time between reads and writes; costs what there is to forget, whatever the size of the world.
   */
  sweep(due: () => boolean = () => false): void {
    if (this.#frame !== undefined) throw new Error('graph: a query swept');
    this.#cells.sweep(due, (cell) => this.#marked.delete(cell));
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
    const start = this.#cells.find(node, key);
    if (start !== undefined) walk(start);
    return [...found.keys()].map(refOf);
  }

  /** The outputs that rest on an input. */
  outputsOf<K, V>(node: Input<K, V>, key: K): readonly CellRef[] {
    this.#collections.settle();
    const found: Cell[] = [];
    const seen = new Set<Cell>();
    const walk = (cell: Cell): void => {
      if (seen.has(cell)) return;
      seen.add(cell);
      if (cell.node.node === 'query' && (cell.node as Query<never, unknown>).output) found.push(cell);
      cell.forEachReader(walk);
      if (cell instanceof MemberCell) for (const item of cell.makes) walk(item);
    };
    const start = this.#cells.find(node, key);
    if (start !== undefined) walk(start);
    return found.map(refOf);
  }

  /** How many cells there are. */
  get size(): number {
    return this.#cells.size + this.#collections.size;
  }

  /** Counts of work and of cells. */
  stats(): GraphStats {
    return { computed: new Map(this.#computed), cells: this.#cells.counts(), revision: this.#revision };
  }

  /** Every key of an input that holds a value, in order. For dumps; queries use collections instead. */
  keysOf(node: Input<string, unknown>): readonly string[] {
    const keys: string[] = [];
    for (const [id, cell] of this.#cells.all(node as Readable<never, unknown>))
      if (cell.value !== undefined) keys.push(id);
    return keys.sort();
  }

  #read<K, V>(node: Readable<K, V>, key: K): V {
    const frame = this.#frame;
    if (frame === undefined) this.#collections.settle();
    const cell = this.#cells.of(node, key);
    if (frame === undefined) this.#cells.noteUnwanted(cell);
    else frame.note(cell);
    this.#refresh(cell);
    return cell.value as V;
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
    return cell.someDep((dep) => {
      this.#refresh(dep);
      return dep.changedAt > cell.verifiedAt;
    });
  }

  #compute(cell: Cell): void {
    const node = cell.node as unknown as Query<unknown, unknown>;
    const outer = this.#frame;
    const frame = new Frame();
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
      for (const dep of old.slice(start, old.length - tail)) if (!kept.has(dep)) this.#cells.release(dep, cell);
    }
    cell.deps = now;
  }

  #failed(failures: readonly Failure[]): void {
    for (const { what, error } of failures) {
      if (this.#tellFailure === undefined) throw error;
      this.#tellFailure(error, what);
    }
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
    if (cell instanceof MemberCell) cell.onMark(cell);
    cell.forEachReader(this.#markCheck);
  }

  readonly #markDirty = (cell: Cell): void => this.#mark(cell, DIRTY);
  readonly #markCheck = (cell: Cell): void => this.#mark(cell, CHECK);
}

function refOf(cell: Cell): CellRef {
  return { node: cell.node.name, id: cell.id, key: cell.key };
}
