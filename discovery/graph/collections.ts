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
    for (const { kept, deriver, members } of this.#bySource.get(source) ?? []) {
      let member = members.get(key);
      if (member === undefined) {
        member = new MemberCell(deriver, key, key, kept.onMark);
        members.set(key, member);
      }
      kept.onMark(member);
    }
  }

  /** Derives anew what is due. Does nothing while it is doing so. */
  settle(): void {
    if (!this.#unsettled || this.#settling) return;
    this.#settling = true;
    try {
      // A collection reads only earlier ones, so one pass in order reaches a fixed point.
      for (const kept of this.#kept) this.#settleOne(kept);
      this.#unsettled = this.#kept.some(({ pending }) => pending.size > 0);
      if (this.#unsettled) throw new Error('graph: a collection reads one that is declared after it');
    } finally {
      this.#settling = false;
    }
  }

  /** How many members there are, each with a cell that no node has. */
  get size(): number {
    let size = 0;
    for (const { members } of this.#kept) for (const ofSource of members.values()) size += ofSource.size;
    return size;
  }

  #settleOne(kept: Kept): void {
    if (kept.pending.size === 0) return;
    const pending = [...kept.pending];
    kept.pending.clear();
    const buckets = new Map<Cell, Bucket>();
    for (const member of pending) {
      this.#parts.refresh(member);
      const items = member.value as Items | undefined;
      // Nothing that it read has changed.
      if (items === undefined) continue;
      // What it gave last is in the items' cells.
      member.value = undefined;
      this.#replaceItems(kept, member, items, buckets);
      if (items.size === 0 && sourceIsGone(member)) this.#forgetMember(kept, member);
    }
    for (const [cell, bucket] of buckets) this.#storeBucket(cell, bucket);
  }

  #forgetMember(kept: Kept, member: MemberCell): void {
    this.#parts.cells.releaseAll(member);
    kept.members.get(member.node)?.delete(member.id);
  }

  #replaceItems(kept: Kept, member: MemberCell, items: Items, buckets: Map<Cell, Bucket>): void {
    // What another member has given meanwhile is that one's.
    for (const { id, deps } of member.makes)
      if (!items.has(id) && deps[0] === member) this.#setItem(kept, id, undefined, buckets);
    const made: Cell[] = [];
    for (const [key, value] of items) {
      const cell = this.#setItem(kept, key, value, buckets);
      cell.deps = [member];
      made.push(cell);
    }
    member.makes = made;
  }

  #setItem(kept: Kept, key: string, value: unknown, buckets: Map<Cell, Bucket>): Cell {
    const { collection } = kept;
    const { cells, changed } = this.#parts;
    const cell = cells.at(collection as unknown as Node, key, key);
    const old = cell.value;
    if (old !== undefined && value !== undefined && collection.equals(old, value)) return cell;
    for (const index of kept.indexes) {
      const left = old === undefined ? [] : index.entries(old as never, key);
      const joined = value === undefined ? [] : index.entries(value as never, key);
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
