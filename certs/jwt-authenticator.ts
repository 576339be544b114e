// Callers with a JWT of a configured issuer, or of this installation's own one, about a service account.
import { type Authenticator, bearerTokenOf, type CallerIdentity } from './caller.ts';
import { makeIdentity, parseServiceAccountUser } from './identity.ts';
import type { FindKeys } from './jwks.ts';
import { type ClaimRules, type Claims, claimProblem, parseJwt, verifyJwt } from './jwt.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { tokenCache } from './token-cache.ts';

/** One issuer whose tokens count. */
export interface JwtIssuer extends ClaimRules {
  readonly findKeys: FindKeys;
}

const rememberedTokens = 10_000;
const rememberedFor = 5 * 60_000;

/**
 * Accepts tokens with `sub` `system:serviceaccount:<namespace>:<name>` of the issuers (Istio's JWT_RULE).
 * Tokens of other issuers are left to the next authenticator.
 */
export function jwtAuthenticator(
  issuers: readonly JwtIssuer[],
  trustDomain: () => string,
  now: () => number,
): Authenticator {
  const verified = tokenCache<Claims>(rememberedTokens, now);
  return async (facts) => {
    const token = bearerTokenOf(facts);
    if (token === undefined || isRefused(token)) {
      return token;
    }
    const parsed = parseJwt(token);
    if (isRefused(parsed)) {
      return parsed;
    }
    const issuer = issuers.find((each) => each.issuer === parsed.claims['iss']);
    if (issuer === undefined) {
      return undefined;
    }
    // Keys are looked at first: what follows may tell an attacker nothing about tokens that nobody signed.
    const claims = verified.get(token) ?? (await verifiedClaims(token, issuer.findKeys));
    if (isRefused(claims)) {
      return claims;
    }
    verified.set(token, claims as Claims, now() + rememberedFor);
    const problem = claimProblem(claims as Claims, issuer, now());
    const identity = problem === undefined ? identityOf(claims as Claims, trustDomain()) : refused(problem);
    if (isRefused(identity)) {
      return identity;
    }
    const validUntil = Number((claims as Claims)['exp']) * 1000;
    return { kind: 'identities', method: 'jwt', identities: [identity], validUntil };
  };
}

/** The claims of a token that bears a signature of one of the issuer's keys. */
export async function verifiedClaims(token: string, findKeys: FindKeys): Promise<Claims | Refusal> {
  const parsed = parseJwt(token);
  if (isRefused(parsed)) {
    return parsed;
  }
  for (const { key } of await findKeys(parsed.keyId)) {
    if (await verifyJwt(parsed, key)) {
      return parsed.claims;
    }
  }
  return refused('the token is not signed by a key of its issuer');
}

function identityOf(claims: Claims, trustDomain: string): CallerIdentity | Refusal {
  const { sub } = claims;
  const account = typeof sub === 'string' ? parseServiceAccountUser(sub) : undefined;
  const identity =
    account === undefined ? undefined : makeIdentity(trustDomain, account.namespace, account.serviceAccount);
  return identity ?? refused('the token is not about a service account');
}
