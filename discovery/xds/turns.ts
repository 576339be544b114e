// One writer: jobs that touch shared state run one after the other, cut into slices so that the process keeps answering.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Cuts long work: ask `due()` often, and `await rest()` when it says so. */
export class Slicer {
  readonly #now: () => number;
  readonly #sliceMs: number;
  #until: number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number, sliceMs = 10) {
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
    await nextTurn();
    this.begin();
  }

  /** Begins a new slice. */
  begin(): void {
    this.#until = this.#now() + this.#sliceMs;
  }
}

/**
 * A queue of jobs of which one runs at a time. A job that finds the queue idle starts at once, synchronously. After
 * each job `afterJob` runs, still alone.
 */
export class Turns {
  readonly slicer: Slicer;
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #afterJob: () => Promise<void> | undefined;
  #busy = false;

  constructor(slicer: Slicer, afterJob: () => Promise<void> | undefined) {
    this.slicer = slicer;
    this.#afterJob = afterJob;
  }

  /** Whether a job is running: shared state may be half changed. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Jobs waiting. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Runs a job in its turn. Rejects with what the job throws. */
  run<T>(job: () => Promise<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(async () => {
        try {
          resolve(await job());
        } catch (error) {
          reject(error);
        }
      });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    try {
      this.slicer.begin();
      for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
        await job();
        await this.#afterJob();
        if (this.slicer.due()) await this.slicer.rest();
      }
    } finally {
      this.#busy = false;
    }
  }
}
