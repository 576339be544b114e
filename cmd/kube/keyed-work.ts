// Work on things by key: each once however often it was asked for, few at a time, slower while it fails.

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
  readonly #stop = new AbortController();
  readonly #due = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #later = new Map<string, NodeJS.Timeout>();
  #failures = 0;

  constructor(options: KeyedWorkOptions) {
    this.#options = options;
  }

  /** Asks for a key to be looked at; while it is worked on, to be looked at once more. */
  add(key: string): void {
    this.#due.add(key);
    this.#work();
  }

  /** Forgets what is due, now or later; what is under way goes on. */
  clear(): void {
    this.#due.clear();
    for (const timer of this.#later.values()) clearTimeout(timer);
    this.#later.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.clear();
    await Promise.all(this.#busy.values());
  }

  #work(): void {
    for (const key of this.#due) {
      if (this.#busy.size >= this.#options.workers || this.#stop.signal.aborted) return;
      if (this.#busy.has(key)) continue;
      this.#due.delete(key);
      const done = this.#settle(key).finally(() => {
        this.#busy.delete(key);
        this.#work();
      });
      this.#busy.set(key, done);
    }
  }

  async #settle(key: string): Promise<void> {
    const { perform, restMs, sleep, failed } = this.#options;
    try {
      const again = await perform(key);
      this.#failures = 0;
      if (again !== undefined) this.#addLater(key, again);
    } catch (error) {
      this.#failures++;
      this.#due.add(key);
      failed(key, error instanceof Error ? error : new Error(String(error)));
    }
    await sleep(Math.min(restMs * 2 ** Math.min(this.#failures, 20), longestRestMs), this.#stop.signal);
  }

  #addLater(key: string, ms: number): void {
    if (this.#stop.signal.aborted || this.#later.has(key)) return;
    const timer = setTimeout(() => {
      this.#later.delete(key);
      this.add(key);
    }, ms);
    this.#later.set(key, timer);
  }
}
