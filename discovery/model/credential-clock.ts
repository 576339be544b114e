// The time, as far as certificates of Secrets need it: written now and then, so that those that ended are no longer served.
import { input, type Read } from '../graph/graph.ts';

/** Milliseconds since 1970, rounded as the writer likes; the only key is `now`. */
export const credentialClock = input<number>('credential-clock');

/** The last time written; 0 (nothing has ended) where none was. */
export function credentialTime(read: Read): number {
  return read(credentialClock, 'now') ?? 0;
}
