// A small memory of tokens that were found good, by hash, so that a renewed stream costs no second signature check.
import { createHash } from 'node:crypto';

export interface TokenCache<T> {
  get(token: string): T | undefined;
  /** `until` in milliseconds since 1970. */
  set(token: string, value: T, until: number): void;
}

/** Keeps up to `size` values; the oldest goes first. Tokens themselves are not kept. */
export function tokenCache<T>(size: number, now: () => number): TokenCache<T> {
  const entries = new Map<string, { readonly value: T; readonly until: number }>();
  return {
    get: (token) => {
      const key = keyOf(token);
      const entry = entries.get(key);
      if (entry !== undefined && entry.until <= now()) {
        entries.delete(key);
        return undefined;
      }
      return entry?.value;
    },
    set: (token, value, until) => {
      const key = keyOf(token);
      entries.delete(key);
      entries.set(key, { value, until });
      for (const oldest of entries.keys()) {
        if (entries.size <= size) {
          break;
        }
        entries.delete(oldest);
      }
    },
  };
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
