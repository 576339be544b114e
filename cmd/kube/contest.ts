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

  /** Whether a thing is left as the other writer wants it. */
  isLost(key: string, wanted: string): boolean {
    const last = this.#rewrites.get(key);
    return last?.wanted === wanted && last.times >= mostRewrites && this.#monotonic() - last.at < contestMs;
  }

  /** Takes note of a write, and forgets those of long ago. */
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
