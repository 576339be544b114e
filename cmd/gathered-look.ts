// Looks that follow changes: what changes in a short time is looked at together, and looking costs little of the one thread.

/** A look rests so many times as long as it took: it may cost a tenth of one CPU at most. */
const restFactor = 10;
const sliceMs = 5;

/** Lets others have their turn where a look has taken long enough for now. */
export type Pause = () => Promise<void>;

/** What a look is, and how it waits. */
export interface GatheredLookOptions {
  /** Looks at all that is due by now. Must not reject. It pauses after each object. */
  readonly look: (pause: Pause) => Promise<void>;
  /** Waited for before each look. Must not reject. */
  readonly ready?: () => Promise<void>;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Looks when asked, one look at a time, until disposed. */
export class GatheredLook implements AsyncDisposable {
  readonly #options: GatheredLookOptions;
  readonly #stop = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #restUntil = 0;
  #timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined;

  constructor(options: GatheredLookOptions) {
    this.#options = options;
  }

  /** Has a look begin after some milliseconds, or earlier where one was asked for that does. */
  soon(ms: number): void {
    if (this.#stop.signal.aborted) return;
    const now = performance.now();
    const at = Math.max(now + ms, this.#restUntil);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(() => {
      this.#timer = undefined;
      this.#looking = this.#looking.then(() => this.#look());
    }, at - now);
    this.#timer = { handle, at };
  }

  /** Forgets what was asked for; a look under way goes on. */
  cancel(): void {
    clearTimeout(this.#timer?.handle);
    this.#timer = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.cancel();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { look, ready, sleep } = this.#options;
    await ready?.();
    let sliceBegan = performance.now();
    let took = 0;
    await look(async () => {
      const slice = performance.now() - sliceBegan;
      if (slice < sliceMs) return;
      took += slice;
      await sleep(0, this.#stop.signal);
      sliceBegan = performance.now();
    });
    const now = performance.now();
    this.#restUntil = now + (took + now - sliceBegan) * restFactor;
  }
}
