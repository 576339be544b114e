// Time for tests that passes only when told to.

/** A clock at 0 milliseconds, and sleepers on it. */
export class FakeClock {
  now = 0;
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>();

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const waiting = { at: this.now + ms, wake: resolve };
      this.#waiting.add(waiting);
      signal.addEventListener('abort', () => this.#waiting.delete(waiting) && resolve());
      if (signal.aborted && this.#waiting.delete(waiting)) resolve();
    });

  /** Lets time pass in steps of half a second, and whoever wakes do its work. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 500;
      for (const waiting of [...this.#waiting]) {
        if (waiting.at > this.now || !this.#waiting.delete(waiting)) continue;
        waiting.wake();
        await settled();
      }
    }
  }
}

/** Resolves when what could be done at once is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
