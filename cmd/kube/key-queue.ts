// Keys that wait for a worker: each once however often it was asked for, and no key with two workers.

/** What is done with a key, and how many keys at once. */
export interface KeyQueueOptions {
  /** Must not reject, and should end soon once the signal aborts. */
  readonly settle: (key: string, signal: AbortSignal) => Promise<void>;
  readonly workers: number;
}

/** Works until disposed. */
export class KeyQueue implements AsyncDisposable {
  readonly #options: KeyQueueOptions;
  readonly #stop = new AbortController();
  readonly #due = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();

  constructor(options: KeyQueueOptions) {
    this.#options = options;
  }

  /** Asks for a key; while it is worked on, for once more. */
  add(key: string): void {
    this.#due.add(key);
    this.#work();
  }

  /** Forgets what waits; what is under way goes on. */
  clear(): void {
    this.#due.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.clear();
    await Promise.all(this.#busy.values());
  }

  #work(): void {
    const { signal } = this.#stop;
    for (const key of this.#due) {
      if (this.#busy.size >= this.#options.workers || signal.aborted) return;
      if (this.#busy.has(key)) continue;
      this.#due.delete(key);
      const done = this.#options.settle(key, signal).finally(() => {
        this.#busy.delete(key);
        this.#work();
      });
      this.#busy.set(key, done);
    }
  }
}
