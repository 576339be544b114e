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
const mostListed = 128;

const none: readonly Cell[] = Object.freeze([]);

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
  deps: readonly Cell[] = none;
  /** Who read it: most cells have few readers or none, and a Set of their own would weigh more than the rest of them. */
  #readers: Set<Cell> | readonly Cell[] | Cell | undefined = undefined;
  /** The items that a collection's member gave: the way on for explanations. */
  makes: readonly Cell[] = none;
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
