// Istio's JWT_RULE: an issuer whose tokens authenticate workloads, as JSON of security.istio.io's JWTRule.
import {
  cachedKeys,
  defaultJwksCache,
  discoveredJwks,
  type FetchText,
  type FindKeys,
  fixedKeys,
  parseJwks,
} from './jwks.ts';
import type { JwtIssuer } from './jwt-authenticator.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

/** Reads the rule. Keys are inline (`jwks`), at `jwksUri`, or found by OpenID discovery of the issuer. */
export function parseJwtRule(
  text: string,
  defaultAudiences: readonly string[],
  fetchText: FetchText,
  now: () => number,
): JwtIssuer | Refusal {
  const rule = readObject(text);
  const issuer = rule?.['issuer'];
  if (rule === undefined || typeof issuer !== 'string' || issuer === '') {
    return refused('JWT_RULE is not a JSON object with an issuer');
  }
  const audiences = rule['audiences'] ?? [];
  if (!Array.isArray(audiences) || !audiences.every((each) => typeof each === 'string')) {
    return refused('the audiences of JWT_RULE are not a list of texts');
  }
  const findKeys = keysOf(rule, issuer, fetchText, now);
  return isRefused(findKeys)
    ? findKeys
    : { issuer, audiences: audiences.length === 0 ? defaultAudiences : audiences, findKeys };
}

function keysOf(
  rule: Readonly<Record<string, unknown>>,
  issuer: string,
  fetchText: FetchText,
  now: () => number,
): FindKeys | Refusal {
  const { jwks, jwksUri = rule['jwks_uri'] } = rule;
  if (typeof jwks === 'string' && jwks !== '') {
    const keys = parseJwks(jwks);
    return isRefused(keys) ? keys : fixedKeys(keys);
  }
  const url = typeof jwksUri === 'string' && jwksUri !== '' ? jwksUri : undefined;
  if (!/^https?:\/\//.test(url ?? issuer)) {
    return refused('JWT_RULE names no jwks, no http(s) jwksUri and no http(s) issuer');
  }
  const load = url === undefined ? discoveredJwks(issuer, fetchText) : () => fetchText(url);
  return cachedKeys(load, defaultJwksCache, now);
}

function readObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text.slice(0, 1024 * 1024));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
