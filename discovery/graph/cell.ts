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
  readonly readers = new Set<Cell>();
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
}
