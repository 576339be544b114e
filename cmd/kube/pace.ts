// How soon a thing may be written again: at once at first, then ever later while it is written over and over.

interface Written {
  readonly at: number;
  readonly times: number;
}

const firstMs = 1_000;
const longestMs = 60_000;
/** After so long without a write, the next one is a first one. */
const quietMs = 120_000;

/** Remembers what was written lately, so that two who disagree about an object do not overwrite each other without end. */
export class Pace {
  readonly #now: () => number;
  readonly #written = new Map<string, Written>();

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds until a key may be written; 0: now. */
  delayOf(key: string): number {
    const last = this.#lastOf(key);
    if (last === undefined) return 0;
    const pause = Math.min(firstMs * 2 ** (last.times - 1), longestMs);
    return Math.max(0, last.at + pause - this.#now());
  }

  /** Takes note of a write, and forgets those of long ago. */
  wrote(key: string): void {
    const times = (this.#lastOf(key)?.times ?? 0) + 1;
    this.#written.delete(key);
    this.#written.set(key, { at: this.#now(), times });
    // The oldest come first.
    for (const [other, { at }] of this.#written) {
      if (this.#now() - at < quietMs) break;
      this.#written.delete(other);
    }
  }

  #lastOf(key: string): Written | undefined {
    const last = this.#written.get(key);
    return last === undefined || this.#now() - last.at >= quietMs ? undefined : last;
  }
}
