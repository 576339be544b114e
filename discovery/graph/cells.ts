// The cells of a graph by node and key, and how those are forgotten that nobody wants any more.
import { Cell, CLEAN, DROPPED, MemberCell } from './cell.ts';
import type { Query, Readable } from './graph.ts';

/** The value of an index entry that no item stands under. */
export const EMPTY: readonly string[] = Object.freeze([]);

/** A node of any kind, as cells know it. */
export type Node = Readable<never, unknown>;

/**
 * Holds the cells. A cell is wanted while somebody reads it, or while it has something of its own: an input or an item
 * a value, an index entry items. What is not is noted when it comes to that, so that sweeping never looks at the world.
 */
export class Cells {
  readonly #byNode = new Map<Node, Map<string, Cell>>();
  readonly #byKey = new WeakMap<object, Cell>();
  readonly #unwanted = new Set<Cell>();
  /** Whoever holds cells from outside, as a reader: held cells need no field for it. Dirty for ever, marks end at it. */
  readonly #outside = new Cell(outside, 'outside', 'outside');
  readonly #filled: ReadonlySet<Node>;

  /** `filled` are the collections and indexes that somebody fills: others have no cells, since they would stay empty. */
  constructor(filled: ReadonlySet<Node>) {
    this.#filled = filled;
  }

  /** The cell, made where there is none. */
  of<K, V>(node: Readable<K, V>, key: K): Cell {
    const kept = node.node === 'query' && node.keptKeys && typeof key === 'object' && key !== null;
    const known = kept ? this.#byKey.get(key) : undefined;
    if (known !== undefined && known.node === (node as unknown) && known.state !== DROPPED) return known;
    const cell = this.at(node as unknown as Node, key, node.idOf(key));
    if (kept) this.#byKey.set(key, cell);
    return cell;
  }

  /** The cell whose key has this text, made where there is none. */
  at(node: Node, key: unknown, id: string): Cell {
    let map = this.#byNode.get(node);
    if (map === undefined) {
      if ((node.node === 'collection' || node.node === 'index') && !this.#filled.has(node))
        throw new Error(`graph: ${node.node} ${node.name} is not among those that this graph keeps`);
      map = new Map();
      this.#byNode.set(node, map);
    }
    let cell = map.get(id);
    if (cell === undefined) {
      // Joins its parts, which V8 would keep side by side until somebody looks into the text.
      id.isWellFormed();
      cell = new Cell(node, key, id);
      if (node.node !== 'query') cell.state = CLEAN;
      if (node.node === 'index') cell.value = EMPTY;
      map.set(id, cell);
    }
    return cell;
  }

  /** The cell, if there is one. */
  find<K, V>(node: Readable<K, V>, key: K): Cell | undefined {
    return this.#byNode.get(node as unknown as Node)?.get(node.idOf(key));
  }

  /** All cells of a node by the text of their keys. */
  all(node: Node): ReadonlyMap<string, Cell> {
    return this.#byNode.get(node) ?? new Map();
  }

  /** Wants a cell from outside; once, however often it is asked for. */
  hold<K, V>(node: Query<K, V>, key: K): void {
    this.of(node, key).addReader(this.#outside);
  }

  /** Takes `hold` back. */
  drop<K, V>(node: Query<K, V>, key: K): void {
    const cell = this.find(node, key);
    if (cell !== undefined) this.release(cell, this.#outside);
  }

  /** Notes that a cell is not read any more by one that read it. */
  release(cell: Cell, reader: Cell): void {
    cell.removeReader(reader);
    this.noteUnwanted(cell);
  }

  /** Notes that a cell reads nothing any more. */
  releaseAll(reader: Cell): void {
    for (const dep of reader.deps) this.release(dep, reader);
    reader.deps = [];
  }

  /** Has the next sweep look at a cell, if it is unwanted as it is now. */
  noteUnwanted(cell: Cell): void {
    if (!isWanted(cell)) this.#unwanted.add(cell);
  }

  /** How many cells were found unwanted and are still there; some may be wanted again. */
  get unwanted(): number {
    return this.#unwanted.size;
  }

  /**
   * Forgets what is unwanted, and then what only that read, until nothing is left or `due` says to stop; one cell at
   * least. What it leaves is whole: anything may be read and written before it goes on. `forgotten` is told of each.
   */
  sweep(due: () => boolean, forgotten: (cell: Cell) => void): void {
    // A Set's iterator comes by what is added meanwhile.
    for (const cell of this.#unwanted) {
      this.#unwanted.delete(cell);
      if (!isWanted(cell)) {
        this.#byNode.get(cell.node)?.delete(cell.id);
        cell.state = DROPPED;
        this.releaseAll(cell);
        forgotten(cell);
      }
      if (due()) return;
    }
  }

  /** How many cells there are. */
  get size(): number {
    let size = 0;
    for (const map of this.#byNode.values()) size += map.size;
    return size;
  }

  /** How many cells each node has, by its name. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [{ name }, map] of this.#byNode) counts.set(name, (counts.get(name) ?? 0) + map.size);
    return counts;
  }
}

const outside: Node = Object.freeze({
  node: 'input' as const,
  name: 'outside',
  idOf: (key: string) => key,
  equals: () => true,
});

function isWanted(cell: Cell): boolean {
  if (cell.isRead || cell instanceof MemberCell) return true;
  return cell.node.node !== 'query' && cell.value !== undefined && cell.value !== EMPTY;
}
