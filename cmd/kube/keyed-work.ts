// Work on things by key: each once however often it was asked for, few at a time, slower while it fails.
import { KeyQueue } from './key-queue.ts';

/** What the work is, and how fast it may go. Times in milliseconds. */
export interface KeyedWorkOptions {
  /**
   * Does what is due for a key. Gives the milliseconds after which it is due again, undefined: not of itself. Where it
   * rejects, the key's turn comes again after a rest.
   */
  readonly perform: (key: string) => Promise<number | undefined>;
  /** Keys under way at once. */
  readonly workers: number;
  /** Each worker rests so long after a key: with `workers` this bounds the rate. */
  readonly restMs: number;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly failed: (key: string, error: Error) => void;
}

const longestRestMs = 60_000;

/** Works until disposed. Failures in a row, whatever their keys, make every worker rest longer, up to a minute. */
export class KeyedWork implements AsyncDisposable {
  readonly #options: KeyedWorkOptions;
  readonly #queue: KeyQueue;
  readonly #later = new Map<string, NodeJS.Timeout>();
  #failures = 0;
  #stopped = false;

  constructor(options: KeyedWorkOptions) {
    this.#options = options;
    this.#queue = new KeyQueue({ workers: options.workers, settle: (key, signal) => this.#settle(key, signal) });
  }

  /** Asks for a key to be looked at; while it is worked on, to be looked at once more. */
  add(key: string): void {
    this.#queue.add(key);
  }

  /** Forgets what is due, now or later; what is under way goes on. */
  clear(): void {
    this.#queue.clear();
    for (const timer of this.#later.values()) clearTimeout(timer);
    this.#later.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.clear();
    await this.#queue[Symbol.asyncDispose]();
  }

  async #settle(key: string, signal: AbortSignal): Promise<void> {
    const { perform, restMs, sleep, failed } = this.#options;
    try {
      const again = await perform(key);
      this.#failures = 0;
      if (again !== undefined) this.#addLater(key, again);
    } catch (error) {
      this.#failures++;
      this.#queue.add(key);
      failed(key, error instanceof Error ? error : new Error(String(error)));
    }
    await sleep(Math.min(restMs * 2 ** Math.min(this.#failures, 20), longestRestMs), signal);
  }

  #addLater(key: string, ms: number): void {
    if (this.#stopped || this.#later.has(key)) return;
    const timer = setTimeout(() => {
      this.#later.delete(key);
      this.add(key);
    }, ms);
    this.#later.set(key, timer);
  }
}
