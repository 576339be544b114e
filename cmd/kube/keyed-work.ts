// Work on things by key, as client-go's rate-limited queues: few at a time, and what fails waits without a worker.
import { isOutage, Refusal } from './refusal.ts';

/** What the work is, and how fast it may go. Times in milliseconds. */
export interface KeyedWorkOptions {
  /**
   * Does what is due for a key, once. Gives the milliseconds after which it is due again, undefined: not of itself. Where
   * it rejects, the key's turn comes again after a wait.
   */
  readonly perform: (key: string) => Promise<number | undefined>;
  /** Keys under way at once. */
  readonly workers: number;
  /** Each worker rests so long after a key: with `workers` this bounds the rate. */
  readonly restMs: number;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly failed: (key: string, error: Error) => void;
}

const firstWaitMs = 250;
const longestWaitMs = 60_000;
/** During an outage everything waits, so few requests are made, and its end shall be noticed soon. */
const longestBrakeMs = 10_000;

/**
 * Works until disposed: on each key once however often it was asked for, and never twice at once. A key that fails waits,
 * ever longer, up to a minute, and others have their turn meanwhile. While the API server itself fails (`isOutage`) nothing
 * is begun for a time that grows up to ten seconds, or that it asks for.
 */
export class KeyedWork implements AsyncDisposable {
  readonly #options: KeyedWorkOptions;
  readonly #stop = new AbortController();
  /** Keys whose turn it is, and whether there is news of them: otherwise a failure meanwhile lets them wait. */
  readonly #due = new Map<string, boolean>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #waits = new Map<string, AbortController>();
  /** Failures in a row by key. */
  readonly #failures = new Map<string, number>();
  /** Outages in a row; those found while one holds everything back are the same. */
  #outages = 0;
  #isBraked = false;
  /** How often everything was forgotten. */
  #cleared = 0;

  constructor(options: KeyedWorkOptions) {
    this.#options = options;
  }

  /** Tells of news: the key's turn comes at once, whatever it waits for; while it is worked on, once more. */
  add(key: string): void {
    this.#endWait(key);
    this.#due.set(key, true);
    this.#work();
  }

  /** Asks for a key without news of it, after some milliseconds: one that waits already goes on waiting. */
  remind(key: string, ms = 0): void {
    if (this.#waits.has(key) || this.#due.has(key)) return;
    if (ms > 0) this.#wait(key, ms);
    else this.#becomesDue(key);
  }

  /** Forgets what is due, now or later, and what failed; what is under way ends. */
  clear(): void {
    this.#cleared++;
    this.#due.clear();
    this.#failures.clear();
    for (const key of this.#waits.keys()) this.#endWait(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.clear();
    await Promise.all(this.#busy.values());
  }

  #work(): void {
    while (this.#busy.size < this.#options.workers && !this.#isBraked && !this.#stop.signal.aborted) {
      const key = this.#next();
      if (key === undefined) return;
      this.#due.delete(key);
      const cleared = this.#cleared;
      // Not begun here: what it does at once may ask for keys, or forget them.
      const done = Promise.resolve()
        .then(() => (cleared === this.#cleared ? this.#turn(key) : undefined))
        .finally(() => {
          this.#busy.delete(key);
          this.#work();
        });
      this.#busy.set(key, done);
    }
  }

  /** Those that failed come last: few of them could otherwise keep the others behind a brake that only they cause. */
  #next(): string | undefined {
    let failed: string | undefined;
    for (const key of this.#due.keys()) {
      if (this.#busy.has(key)) continue;
      if (!this.#failures.has(key)) return key;
      failed ??= key;
    }
    return failed;
  }

  async #turn(key: string): Promise<void> {
    const { perform, restMs, sleep } = this.#options;
    const cleared = this.#cleared;
    try {
      const again = await perform(key);
      this.#outages = 0;
      if (cleared === this.#cleared) {
        this.#failures.delete(key);
        if (again !== undefined) this.#wait(key, again);
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (isOutage(error)) this.#brake(error);
      else this.#outages = 0;
      if (cleared === this.#cleared) this.#waitAfter(key, error);
      this.#options.failed(key, error);
    }
    if (restMs > 0) await sleep(restMs, this.#stop.signal);
  }

  #waitAfter(key: string, error: Error): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    if (this.#due.get(key) === true) return;
    this.#due.delete(key);
    this.#wait(key, this.#backOff(failures, isOutage(error) ? longestBrakeMs : longestWaitMs));
  }

  #brake(error: Error): void {
    if (this.#isBraked) return;
    this.#outages++;
    this.#isBraked = true;
    const asked = error instanceof Refusal ? (error.retryAfterMs ?? 0) : 0;
    const ms = Math.max(Math.min(asked, longestWaitMs), this.#backOff(this.#outages, longestBrakeMs));
    void this.#options.sleep(ms, this.#stop.signal).then(() => {
      this.#isBraked = false;
      this.#work();
    });
  }

  /** Spread by chance, so that what failed together does not come again together. */
  #backOff(times: number, longestMs: number): number {
    return Math.min(firstWaitMs * 2 ** Math.min(times - 1, 20), longestMs) * (0.5 + 0.5 * this.#options.random());
  }

  #wait(key: string, ms: number): void {
    this.#endWait(key);
    const wait = new AbortController();
    this.#waits.set(key, wait);
    void this.#options.sleep(ms, wait.signal).then(() => {
      if (wait.signal.aborted) return;
      this.#waits.delete(key);
      if (!this.#due.has(key)) this.#becomesDue(key);
    });
  }

  #becomesDue(key: string): void {
    this.#due.set(key, false);
    this.#work();
  }

  #endWait(key: string): void {
    this.#waits.get(key)?.abort();
    this.#waits.delete(key);
  }
}
