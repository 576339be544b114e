// One remembered value of the graph with its edges, and the states it goes through.
import type { Readable } from './graph.ts';

/** The value is right. */
export const CLEAN = 0;
/** Something below may have changed. */
export const CHECK = 1;
/** Something that was read has changed. */
export const DIRTY = 2;
/** The value is being computed. */
export const RUNNING = 3;
/** The graph has forgotten the cell. */
export const DROPPED = 4;

/** Readers up to which a list is kept, which is copied where one is added: it has no room to spare. */
const mostListed = 64;

const none: readonly Cell[] = Object.freeze([]);

/** Most lists of a cell hold one other cell or none, and there are as many lists as cells: an array is for the others. */
type CellList = readonly Cell[] | Cell | undefined;

function listOf(cells: readonly Cell[]): CellList {
  // A list that grew has room for more; a copy has not.
  return cells.length > 1 ? cells.slice() : cells[0];
}

function cellsOf(list: CellList): readonly Cell[] {
  if (list === undefined) return none;
  return list instanceof Cell ? [list] : list;
}

/** One remembered value with its edges. Internal to the graph, exposed for explanations as `CellRef`. */
export class Cell {
  readonly node: Readable<never, unknown>;
  readonly key: unknown;
  readonly id: string;
  value: unknown = undefined;
  state: typeof CLEAN | typeof CHECK | typeof DIRTY | typeof RUNNING | typeof DROPPED = DIRTY;
  /** Revision in which the value last became different. */
  changedAt = 0;
  /** Revision up to which the value is known to be right. */
  verifiedAt = 0;
  #deps: CellList = undefined;
  /** Who read it; few, most of the time, and a Set of their own would weigh more than the rest of the cell. */
  #readers: Set<Cell> | CellList = undefined;

  constructor(node: Readable<never, unknown>, key: unknown, id: string) {
    this.node = node;
    this.key = key;
    this.id = id;
  }

  /** What it read, in order. */
  get deps(): readonly Cell[] {
    return cellsOf(this.#deps);
  }

  set deps(cells: readonly Cell[]) {
    this.#deps = listOf(cells);
  }

  /** Whether something that it read is so; looks no further then. */
  someDep(isSo: (dep: Cell) => boolean): boolean {
    const deps = this.#deps;
    if (deps === undefined) return false;
    return deps instanceof Cell ? isSo(deps) : deps.some(isSo);
  }

  /** Whether anybody read it. */
  get isRead(): boolean {
    return this.#readers !== undefined;
  }

  /** Calls back with each reader. */
  forEachReader(visit: (reader: Cell) => void): void {
    const readers = this.#readers;
    if (readers === undefined) return;
    if (readers instanceof Cell) visit(readers);
    else for (const reader of readers) visit(reader);
  }

  addReader(reader: Cell): void {
    const readers = this.#readers;
    if (readers === undefined) this.#readers = reader;
    else if (readers instanceof Set) readers.add(reader);
    else if (readers instanceof Cell) {
      if (readers !== reader) this.#readers = [readers, reader];
    } else if (readers.length >= mostListed) this.#readers = new Set([...readers, reader]);
    else if (!readers.includes(reader)) this.#readers = readers.concat(reader);
  }

  removeReader(reader: Cell): void {
    const readers = this.#readers;
    if (readers === undefined) return;
    if (readers instanceof Cell) {
      if (readers === reader) this.#readers = undefined;
    } else if (readers instanceof Set) {
      if (readers.delete(reader) && readers.size === 0) this.#readers = undefined;
    } else {
      const rest = readers.filter((other) => other !== reader);
      this.#readers = rest.length > 1 ? rest : rest[0];
    }
  }
}

/** What a collection has from one key of one source; the collection keeps it, and hears when it may have changed. */
export class MemberCell extends Cell {
  readonly onMark: (cell: MemberCell) => void;
  #makes: CellList = undefined;

  constructor(node: Readable<never, unknown>, key: unknown, id: string, onMark: (cell: MemberCell) => void) {
    super(node, key, id);
    this.onMark = onMark;
  }

  /** The items that it gave: the way on for explanations. */
  get makes(): readonly Cell[] {
    return cellsOf(this.#makes);
  }

  set makes(cells: readonly Cell[]) {
    this.#makes = listOf(cells);
  }
}
