// Two who overwrite each other help nobody: the one who can tell that it goes on and on gives in.

interface Rewrite {
  readonly wanted: string;
  readonly times: number;
  readonly at: number;
}

/** So often the same is written, each time within `contestMs` of the last; then the thing is another writer's. */
export const mostRewrites = 5;
const contestMs = 600_000;

/**
 * Remembers what was written over another's doing. What we want by then is part of it: wanting something else is a new
 * reason to write, and so are ten minutes without a write.
 */
export class Contest {
  readonly #monotonic: () => number;
  readonly #rewrites = new Map<string, Rewrite>();

  /** `monotonic` in milliseconds; only differences count. */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Milliseconds for which a thing is still left as the other writer wants it; 0: it may be written. */
  lostMs(key: string, wanted: string): number {
    const last = this.#rewrites.get(key);
    if (last?.wanted !== wanted || last.times < mostRewrites) return 0;
    return Math.max(0, last.at + contestMs - this.#monotonic());
  }

  /** Takes note of a write that succeeded, and forgets those of long ago. */
  wrote(key: string, wanted: string): void {
    const at = this.#monotonic();
    const last = this.#rewrites.get(key);
    const goesOn = last?.wanted === wanted && at - last.at < contestMs;
    this.#rewrites.delete(key);
    this.#rewrites.set(key, { wanted, at, times: goesOn ? last.times + 1 : 1 });
    // The oldest come first.
    for (const [other, rewrite] of this.#rewrites) {
      if (at - rewrite.at < contestMs) break;
      this.#rewrites.delete(other);
    }
  }
}
