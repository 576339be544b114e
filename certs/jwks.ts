// Issuers' public keys (RFC 7517): fixed ones, or fetched and cached ones that follow the issuer's key rotation.
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { isRefused, type Refusal, refused } from './refusal.ts';

/** One usable key of an issuer. */
export interface IssuerKey {
  readonly keyId?: string;
  readonly key: KeyObject;
}

/** Finds the keys that may have signed a token; empty when none is known. Never rejects. */
export type FindKeys = (keyId: string | undefined) => Promise<readonly IssuerKey[]>;

/** Fetches a JSON text; rejects when that fails. Implementations bound time and size. */
export type FetchText = (url: string) => Promise<string>;

export interface JwksCacheOptions {
  /** Milliseconds after which keys are fetched again. */
  readonly refreshAfter: number;
  /** Milliseconds for which known keys are used while fetching fails. */
  readonly keepFor: number;
  /** Milliseconds between two fetches, whatever key ids tokens name. */
  readonly pause: number;
}

export const defaultJwksCache: JwksCacheOptions = { refreshAfter: 20 * 60_000, keepFor: 24 * 3600_000, pause: 10_000 };

const largestJwks = 1024 * 1024;
const mostKeys = 100;

/** Reads a JWK Set. Symmetric and unreadable keys, and keys not for signatures, are left out. */
export function parseJwks(text: string): readonly IssuerKey[] | Refusal {
  if (text.length > largestJwks) {
    return refused('the JWK Set is larger than 1 MiB');
  }
  try {
    const set: unknown = JSON.parse(text);
    const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
    return Array.isArray(keys) ? keys.slice(0, mostKeys).flatMap(readKey) : refused('the JWK Set has no keys');
  } catch {
    return refused('the JWK Set is not JSON');
  }
}

/** Keys that never change. */
export function fixedKeys(keys: readonly IssuerKey[]): FindKeys {
  return async (keyId) => matching(keys, keyId);
}

/**
 * Keys fetched by `load`, again after a while and when a token names an unknown key. Fetches never overlap and are
 * `pause` apart, so that tokens with invented key ids cause no flood of requests.
 */
export function cachedKeys(load: () => Promise<string>, options: JwksCacheOptions, now: () => number): FindKeys {
  let keys: readonly IssuerKey[] = [];
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;
  const fetchKeys = async () => {
    triedAt = now();
    const read = await load().then(parseJwks, () => refused('the JWK Set cannot be fetched'));
    if (!isRefused(read)) {
      keys = read;
      fetchedAt = now();
    }
  };
  return async (keyId) => {
    const known = matching(keys, keyId);
    const isStale = now() - fetchedAt >= options.refreshAfter;
    if ((isStale || known.length === 0) && now() - triedAt >= options.pause) {
      fetching ??= fetchKeys().finally(() => {
        fetching = undefined;
      });
    }
    // Keys at hand are used at once; a refresh goes on in the background.
    if (known.length === 0 || now() - fetchedAt >= options.keepFor) {
      await fetching;
    }
    return now() - fetchedAt < options.keepFor ? matching(keys, keyId) : [];
  };
}

/** Finds an issuer's JWK Set by OpenID Connect Discovery 1.0 and fetches it. */
export function discoveredJwks(issuer: string, fetchText: FetchText): () => Promise<string> {
  return async () => {
    const text = await fetchText(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const document = JSON.parse(text.slice(0, largestJwks)) as {
      readonly issuer?: unknown;
      readonly jwks_uri?: unknown;
    };
    if (document.issuer !== issuer || typeof document.jwks_uri !== 'string') {
      throw new Error('the discovery document is of another issuer or names no jwks_uri');
    }
    return fetchText(document.jwks_uri);
  };
}

/** A bounded fetch: no redirects, 5 seconds, 1 MiB. */
export const fetchJwksText: FetchText = async (url) => {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5_000) });
  if (!response.ok || response.body === null) {
    throw new Error(`status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > largestJwks) {
      throw new Error('larger than 1 MiB');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

function matching(keys: readonly IssuerKey[], keyId: string | undefined): readonly IssuerKey[] {
  return keyId === undefined ? keys : keys.filter((each) => each.keyId === keyId || each.keyId === undefined);
}

function readKey(value: unknown): readonly IssuerKey[] {
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  const { kty, kid, use } = value as { readonly kty?: unknown; readonly kid?: unknown; readonly use?: unknown };
  if ((kty !== 'RSA' && kty !== 'EC') || (use !== undefined && use !== 'sig')) {
    return [];
  }
  try {
    const key = createPublicKey({ key: value as webcrypto.JsonWebKey, format: 'jwk' });
    return [{ key, ...(typeof kid === 'string' ? { keyId: kid } : {}) }];
  } catch {
    return [];
  }
}
