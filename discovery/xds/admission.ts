// Lets streams in at a pace the process can bear, so that a mass reconnect does not stop it, and nobody waits for ever.

/** Limits of the gate. */
export interface AdmissionOptions {
  /** Streams a second when the event loop is in time. Default 500. */
  readonly maxRate?: number;
  /** Streams a second however late the event loop is. Default 100. */
  readonly minRate?: number;
  /** Streams let in at once after a quiet time. Default 100. */
  readonly burst?: number;
  /** Longest wait before a refusal, in milliseconds (contract 1.3). Default 1000. */
  readonly maxWaitMs?: number;
  /** Delay of the event loop in milliseconds at which the rate is halved. Default 100. */
  readonly slowMs?: number;
}

/** A token bucket whose rate follows the delay of the event loop. Pure: time and delay are given with each call. */
export class Admission {
  readonly #maxRate: number;
  readonly #minRate: number;
  readonly #burst: number;
  readonly #maxWaitMs: number;
  readonly #slowMs: number;
  #rate: number;
  #tokens: number;
  #at: number;

  constructor(now: number, options: AdmissionOptions = {}) {
    this.#maxRate = options.maxRate ?? 500;
    this.#minRate = options.minRate ?? 100;
    this.#burst = options.burst ?? 100;
    this.#maxWaitMs = options.maxWaitMs ?? 1000;
    this.#slowMs = options.slowMs ?? 100;
    this.#rate = this.#maxRate;
    this.#tokens = this.#burst;
    this.#at = now;
  }

  /** Streams a second at present. */
  get rate(): number {
    return this.#rate;
  }

  /** Whether nobody came for a while: as long as it is so, the delay of the event loop decides nothing. */
  get isQuiet(): boolean {
    return this.#rate === this.#maxRate && this.#tokens === this.#burst;
  }

  /**
   * Asks for one stream. Gives the milliseconds to wait (0: now), or undefined where the wait would be too long: the
   * client is refused and comes again, by then with a place. Waiting streams have taken their token already.
   */
  admit(now: number): number | undefined {
    this.#refill(now);
    const missing = 1 - this.#tokens;
    const wait = missing <= 0 ? 0 : (missing / this.#rate) * 1000;
    if (wait > this.#maxWaitMs) return undefined;
    this.#tokens -= 1;
    return Math.ceil(wait);
  }

  /** Tells how late the event loop was: the rate falls at once by half, and rises by a tenth a call. */
  observe(now: number, delayMs: number): void {
    this.#refill(now);
    this.#rate =
      delayMs > this.#slowMs
        ? Math.max(this.#minRate, this.#rate / 2)
        : Math.min(this.#maxRate, this.#rate + this.#maxRate / 10);
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate);
    this.#at = now;
  }
}
