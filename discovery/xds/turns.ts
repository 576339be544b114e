// One writer: jobs that touch shared state run one after the other, cut into slices so that the process keeps answering.
import { setImmediate as nextTurn } from 'node:timers/promises';

// libuv accepts one connection in each turn of the event loop. One turn a slice would let in 100 connections a second,
// and a fleet that reconnects would time out before it is let in.
const turnsOfRest = 16;

/** Cuts long work: ask `due()` often, and `await rest()` when it says so. */
export class Slicer {
  readonly #now: () => number;
  readonly #sliceMs: number;
  #until: number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number, sliceMs = 5) {
    this.#now = now;
    this.#sliceMs = sliceMs;
    this.#until = now() + sliceMs;
  }

  /** Whether the slice is used up. */
  due(): boolean {
    return this.#now() >= this.#until;
  }

  /** Lets timers, sockets and other callbacks run, then begins a new slice. */
  async rest(): Promise<void> {
    for (let i = 0; i < turnsOfRest; i++) await nextTurn();
    this.begin();
  }

  /** Begins a new slice. */
  begin(): void {
    this.#until = this.#now() + this.#sliceMs;
  }
}

/** What happens after each job, still alone. */
export interface AfterJob {
  /** Whether anything is left to do, even without a job. */
  readonly due: () => boolean;
  readonly run: () => Promise<void>;
}

interface Waiting {
  readonly job: () => Promise<void>;
  readonly settle: () => void;
}

/**
 * A queue of jobs of which one runs at a time. A job that finds the queue idle starts at once, synchronously. Its
 * promise settles when what follows the job is done too.
 */
export class Turns {
  readonly slicer: Slicer;
  readonly #waiting: Waiting[] = [];
  readonly #after: AfterJob;
  #busy = false;

  constructor(slicer: Slicer, after: AfterJob) {
    this.slicer = slicer;
    this.#after = after;
  }

  /** Whether a job is running: shared state may be half changed. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Runs a job in its turn. Rejects with what the job throws. */
  run<T>(job: () => Promise<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settle: () => void = () => {};
      const guarded = async (): Promise<void> => {
        try {
          const value = await job();
          settle = () => resolve(value);
        } catch (error) {
          settle = () => reject(error);
        }
      };
      this.#waiting.push({ job: guarded, settle: () => settle() });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    this.slicer.begin();
    for (;;) {
      const next = this.#waiting.shift();
      if (next === undefined && !this.#after.due()) break;
      await next?.job();
      await this.#after.run();
      next?.settle();
      if (this.slicer.due()) await this.slicer.rest();
    }
    this.#busy = false;
  }
}
