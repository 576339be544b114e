// How collections are kept: their members are derived anew where something changed, and their items and indexes follow.
import { type Cell, MemberCell } from './cell.ts';
import { type Cells, EMPTY, type Node } from './cells.ts';
import type { Bucket, Collection, Index, Source } from './collect.ts';
import type { Input, Query } from './graph.ts';

/** What keeping collections needs of the graph. */
export interface CollectionParts {
  readonly cells: Cells;
  /** Brings a cell's value up to date. */
  readonly refresh: (cell: Cell) => void;
  /** Tells the readers of a cell that its value is another one. */
  readonly changed: (cell: Cell) => void;
  /** Told of members that could not be derived, each time, once all others are. */
  readonly failed: (failures: readonly Failure[]) => void;
}

/** A member that could not be derived, and why not. */
export interface Failure {
  readonly what: string;
  readonly error: unknown;
}

type Items = ReadonlyMap<string, unknown>;

interface Kept {
  readonly collection: Collection<string, unknown>;
  /** By the node of the members, and then by the key of their source. */
  readonly members: ReadonlyMap<Node, Map<string, MemberCell>>;
  readonly pending: Set<MemberCell>;
  /** Has a member derived anew. */
  readonly onMark: (member: MemberCell) => void;
  readonly indexes: readonly Index<string, readonly string[]>[];
}

/** What a collection has from one of its sources: a cell of its own for each key, which makes the cells of the items. */
interface KeptSource {
  readonly kept: Kept;
  readonly deriver: Node;
  readonly members: Map<string, MemberCell>;
}

/** Keeps all collections of a graph. */
export class Collections {
  readonly #kept: readonly Kept[];
  readonly #bySource = new Map<unknown, KeptSource[]>();
  readonly #parts: CollectionParts;
  /** What could not be derived: tried again whenever anything has changed, for nobody else tells when it would help. */
  readonly #failed = new Set<MemberCell>();
  #unsettled = false;
  #settling = false;

  /** `collections` in an order in which each reads only earlier ones. */
  constructor(collections: readonly Collection<string, unknown>[], parts: CollectionParts) {
    this.#parts = parts;
    this.#kept = collections.map((collection) => {
      const pending = new Set<MemberCell>();
      const members = new Map<Node, Map<string, MemberCell>>();
      const kept: Kept = {
        collection,
        members,
        pending,
        onMark: (member) => {
          pending.add(member);
          this.#unsettled = true;
        },
        indexes: collection.indexes as readonly Index<string, readonly string[]>[],
      };
      for (const source of collection.sources) {
        const own = { kept, deriver: deriverOf(collection, source), members: new Map<string, MemberCell>() };
        members.set(own.deriver, own.members);
        this.#bySource.set(source, [...(this.#bySource.get(source) ?? []), own]);
      }
      return kept;
    });
  }

  /** Has collections look again at a key of a source, which may be an input, a collection or an index. */
  sourceChanged(source: unknown, key: string): void {
    if (this.#failed.size > 0) this.#unsettled = true;
    for (const { kept, deriver, members } of this.#bySource.get(source) ?? []) {
      let member = members.get(key);
      if (member === undefined) {
        member = new MemberCell(deriver, key, key, kept.onMark);
        members.set(key, member);
      }
      kept.onMark(member);
    }
  }

  /**
   * Derives anew what is due. Does nothing while it is doing so. A member for which that throws keeps the items that it
   * has, and keeps nothing from the others.
   */
  settle(): void {
    if (!this.#unsettled || this.#settling) return;
    const failures: Failure[] = [];
    this.#settling = true;
    try {
      for (const member of this.#failed) member.onMark(member);
      this.#failed.clear();
      // A collection reads only earlier ones, so one pass in order reaches a fixed point.
      for (const kept of this.#kept) this.#settleOne(kept, failures);
      this.#unsettled = this.#kept.some(({ pending }) => pending.size > 0);
      if (this.#unsettled) throw new Error('graph: a collection reads one that is declared after it');
    } finally {
      this.#settling = false;
    }
    if (failures.length > 0) this.#parts.failed(failures);
  }

  /** How many members there are, each with a cell that no node has. */
  get size(): number {
    let size = 0;
    for (const { members } of this.#kept) for (const ofSource of members.values()) size += ofSource.size;
    return size;
  }

  #settleOne(kept: Kept, failures: Failure[]): void {
    if (kept.pending.size === 0) return;
    const pending = [...kept.pending];
    kept.pending.clear();
    const buckets = new Map<Cell, Bucket>();
    for (const member of pending) {
      try {
        this.#settleMember(kept, member, buckets);
      } catch (error) {
        this.#failed.add(member);
        failures.push({ what: `${kept.collection.name} of ${member.id}`, error });
      }
    }
    for (const [cell, bucket] of buckets) this.#storeBucket(cell, bucket);
  }

  #settleMember(kept: Kept, member: MemberCell, buckets: Map<Cell, Bucket>): void {
    this.#parts.refresh(member);
    const items = member.value as Items | undefined;
    // Nothing that it read has changed.
    if (items === undefined) return;
    this.#replaceItems(kept, member, items, buckets);
    // What it gave last is in the items' cells.
    member.value = undefined;
    if (items.size === 0 && sourceIsGone(member)) this.#forgetMember(kept, member);
  }

  #forgetMember(kept: Kept, member: MemberCell): void {
    this.#parts.cells.releaseAll(member);
    kept.members.get(member.node)?.delete(member.id);
  }

  #replaceItems(kept: Kept, member: MemberCell, items: Items, buckets: Map<Cell, Bucket>): void {
    const made: Cell[] = [];
    try {
      for (const [key, value] of items) {
        const cell = this.#setItem(kept, key, value, buckets);
        cell.deps = [member];
        made.push(cell);
      }
      // What another member has given meanwhile is that one's.
      for (const { id, deps } of member.makes)
        if (!items.has(id) && deps[0] === member) this.#setItem(kept, id, undefined, buckets);
    } catch (error) {
      // What it gave before, and what it has given by now, is its own to take back.
      member.makes = [...new Set([...member.makes, ...made])];
      for (const key of items.keys()) {
        const cell = this.#parts.cells.find(kept.collection, key);
        if (cell !== undefined) this.#parts.cells.noteUnwanted(cell);
      }
      throw error;
    }
    member.makes = made;
  }

  /** Changes an item and where it stands, or throws and has changed nothing. */
  #setItem(kept: Kept, key: string, value: unknown, buckets: Map<Cell, Bucket>): Cell {
    const { collection } = kept;
    const { cells, changed } = this.#parts;
    const cell = cells.at(collection as unknown as Node, key, key);
    const old = cell.value;
    if (old !== undefined && value !== undefined && collection.equals(old, value)) return cell;
    // Asked first, since they may throw.
    const moves = kept.indexes.map((index) => ({
      index,
      left: old === undefined ? [] : index.entries(old as never, key),
      joined: value === undefined ? [] : index.entries(value as never, key),
    }));
    for (const { index, left, joined } of moves) {
      for (const entry of left) if (!joined.includes(entry)) this.#bucket(index, entry, buckets).delete(key);
      for (const entry of joined) if (!left.includes(entry)) this.#bucket(index, entry, buckets).add(key);
    }
    cell.value = value;
    cell.deps = [];
    cells.noteUnwanted(cell);
    changed(cell);
    this.sourceChanged(collection, key);
    return cell;
  }

  #bucket(index: Index<string, readonly string[]>, entry: string, buckets: Map<Cell, Bucket>): Bucket {
    const cell = this.#parts.cells.at(index as unknown as Node, entry, entry);
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
    const same = next.length === now.length && next.every((key, i) => key === now[i]);
    if (!same) cell.value = next.length === 0 ? EMPTY : next;
    this.#parts.cells.noteUnwanted(cell);
    if (same) return;
    this.#parts.changed(cell);
    this.sourceChanged(cell.node, cell.id);
  }
}

const noItems: Items = new Map();

/** The query behind the members that a collection has from one source. */
function deriverOf(collection: Collection<string, unknown>, source: Source): Node {
  const deriver: Query<string, Items> = Object.freeze({
    node: 'query' as const,
    name: `${collection.name}.derive`,
    idOf: (key: string) => key,
    compute: (read, key) => {
      const value = read(source as Input<string, unknown>, key);
      return value === undefined ? noItems : collection.derive(read, key, value, source);
    },
    equals: () => false,
    output: false,
    keptKeys: false,
  } satisfies Query<string, Items>);
  return deriver as unknown as Node;
}

function sourceIsGone(cell: Cell): boolean {
  const first = cell.deps[0];
  return first !== undefined && (first.value === undefined || first.value === EMPTY);
}
