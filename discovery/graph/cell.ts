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

/** One remembered value with its edges. Internal to the graph, exposed for explanations as `CellRef`. */
export class Cell {
  readonly node: Readable<never, unknown>;
  readonly key: unknown;
  readonly id: string;
  value: unknown = undefined;
  state: typeof CLEAN | typeof CHECK | typeof DIRTY | typeof RUNNING = DIRTY;
  /** Revision in which the value last became different. */
  changedAt = 0;
  /** Revision up to which the value is known to be right. */
  verifiedAt = 0;
  deps: Cell[] = [];
  /** Who read it: most cells have one reader or none, and a Set of their own would weigh more than the rest of them. */
  #readers: Set<Cell> | Cell | undefined = undefined;
  /** The graph has forgotten it. */
  dropped = false;
  /** The items that a collection's member gave: the way on for explanations. */
  makes: readonly Cell[] = [];
  /** The last computation that read this cell, so that a dependency is recorded once. */
  lastFrame = 0;
  /** Called when a collection's member may have changed. */
  onMark: ((cell: Cell) => void) | undefined = undefined;

  constructor(node: Readable<never, unknown>, key: unknown, id: string) {
    this.node = node;
    this.key = key;
    this.id = id;
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
    else if (!(readers instanceof Cell)) readers.add(reader);
    else if (readers !== reader) this.#readers = new Set([readers, reader]);
  }

  removeReader(reader: Cell): void {
    const readers = this.#readers;
    if (readers === reader) this.#readers = undefined;
    else if (readers !== undefined && !(readers instanceof Cell) && readers.delete(reader) && readers.size === 0) {
      this.#readers = undefined;
    }
  }
}
