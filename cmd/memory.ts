// Gives back what a busy moment has filled: V8 would keep its garbage, and room for more, until it needs them again, and
// malloc what it has free between things that are in use.
import { mallocTrim } from './malloc-trim.ts';

/** How often it is looked whether the process rests, in milliseconds. */
const interval = 250;
/** Looks in a row that must find it resting. */
const looks = 4;
/** Share of a processor that a resting process takes at most. */
const resting = 0.1;
/** Bytes, and share of what was left by the last collection, that have to have come since to make another worth while. */
const worthwhile = { bytes: 32 * 1024 * 1024, share: 0.2 };
/** Collections take at most this share of the process's time. */
const mostOfTime = 0.05;

/** What `Memory` is told, and does; times in milliseconds of a monotonic clock. */
export interface MemoryParts {
  readonly now: () => number;
  /** Share of a processor that was taken since the last call, or the start. */
  readonly busy: () => number;
  /** Bytes of V8's heap, used or not, and of what it holds outside. */
  readonly held: () => number;
  /** Collects garbage and shrinks the heap, while nothing else runs. */
  readonly collect: () => void;
}

/** Decides when to collect: once everything is quiet, if much was allocated, and never for long altogether. */
export class Memory {
  readonly #parts: MemoryParts;
  #rested = 0;
  #left = 0;
  #notBefore = 0;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  /** To be called every `interval`. Returns how many milliseconds a collection took; undefined where none was due. */
  look(): number | undefined {
    const { now, busy, held, collect } = this.#parts;
    this.#rested = busy() <= resting ? this.#rested + 1 : 0;
    if (this.#rested < looks || now() < this.#notBefore) return undefined;
    if (held() < Math.max(this.#left + worthwhile.bytes, this.#left * (1 + worthwhile.share))) return undefined;
    const began = now();
    collect();
    const took = now() - began;
    this.#left = held();
    this.#notBefore = now() + took / mostOfTime;
    this.#rested = 0;
    return took;
  }
}

/** Looks after the process's memory until disposed; does nothing where Node was not started with `--expose-gc`. */
export function giveMemoryBack(told: (took: number) => void): Disposable {
  const { gc } = globalThis;
  if (gc === undefined) return { [Symbol.dispose]: () => undefined };
  const trim = mallocTrim();
  let before = { ...process.cpuUsage(), at: performance.now() };
  const memory = new Memory({
    now: () => performance.now(),
    busy: () => {
      // Not the event loop's utilization: on a machine that others keep busy, waiting for a processor counts in it.
      const now = { ...process.cpuUsage(), at: performance.now() };
      const microseconds = now.user - before.user + (now.system - before.system);
      const share = microseconds / 1000 / (now.at - before.at);
      before = now;
      return share;
    },
    held: () => {
      const { heapTotal, external } = process.memoryUsage();
      return heapTotal + external;
    },
    collect: () => {
      // The only flavour that also shrinks the young generation and joins half empty pages.
      gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      trim?.();
    },
  });
  const timer = setInterval(() => {
    const took = memory.look();
    if (took !== undefined) told(took);
  }, interval);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
