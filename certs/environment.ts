// The effects that certificates depend on, passed in so that tests decide what time it is.
import { randomBytes } from 'node:crypto';

export interface CertsEnvironment {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

/** The machine's clock and random source. */
export const systemEnvironment: CertsEnvironment = { now: () => Date.now(), randomBytes: (size) => randomBytes(size) };
