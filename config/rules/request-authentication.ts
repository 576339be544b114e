// Rules of RequestAuthentication.
import type { JwtRule, RequestAuthentication } from '../kinds/request-authentication.ts';
import { checkDuration } from './durations.ts';
import { doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkAttachment } from './selectors.ts';
import { schemeOf, urlProblem } from './urls.ts';
import { checkPlainHeaderName } from './workload.ts';

/** What Istio's webhook refuses or warns about in a RequestAuthentication. */
export function checkRequestAuthentication(policy: RequestAuthentication): Findings {
  const spec = policy.spec ?? {};
  return [...checkAttachment(spec), ...each(spec.jwtRules, 'spec.jwtRules', checkJwtRule)];
}

function checkJwtRule(rule: JwtRule, path: string): Findings {
  const { issuer = '', jwksUri = '', jwks = '' } = rule;
  return [
    ...(issuer === '' && jwksUri === '' ? missing(path, 'issuer or jwksUri must be non-empty string') : fine),
    ...each(rule.audiences, `${path}.audiences`, notEmpty('audience must be non-empty string')),
    ...(jwksUri === '' ? fine : checkJwksUri(jwksUri, `${path}.jwksUri`)),
    ...(jwksUri !== '' && jwks !== '' ? doubtful(`${path}.jwks`, 'both jwks and jwksUri are set; jwks is used') : fine),
    ...(jwks === '' ? fine : checkJwks(jwks, `${path}.jwks`)),
    ...each(rule.fromHeaders, `${path}.fromHeaders`, (header, at) =>
      notEmpty('location header name must be non-empty string')(header.name, `${at}.name`),
    ),
    ...each(rule.fromParams, `${path}.fromParams`, notEmpty('location query must be non-empty string')),
    ...each(rule.fromCookies, `${path}.fromCookies`, notEmpty('cookie name must be non-empty string')),
    ...each(rule.outputClaimToHeaders, `${path}.outputClaimToHeaders`, ({ header = '', claim = '' }, at) =>
      header === '' || claim === ''
        ? missing(at, 'outputClaimToHeaders header and claim value must be non-empty string')
        : checkPlainHeaderName(header, `${at}.header`),
    ),
    ...checkDuration(rule.timeout, `${path}.timeout`),
  ];
}

function notEmpty(message: string) {
  return (value: string | undefined, path: string): Findings =>
    value === undefined || value === '' ? missing(path, message) : fine;
}

function checkJwksUri(uri: string, path: string): Findings {
  const problem = urlProblem(uri);
  if (problem !== undefined) return invalid(path, problem);
  const scheme = schemeOf(uri);
  return scheme === 'http' || scheme === 'https' ? fine : invalid(path, `URI scheme "${scheme}" is not supported`);
}

/** Members of a JWK that only a private or symmetric key has (RFC 7518, section 6). */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** A key set is checked for private keys up to this length, in characters. */
const longestJwks = 1_000_000;

function checkJwks(jwks: string, path: string): Findings {
  return keysOf(jwks).flatMap((key, index) =>
    typeof key === 'object' && key !== null && privateMembers.some((member) => Object.hasOwn(key, member))
      ? doubtful(path, `jwks key at index ${index} contains private key material; only public keys are used`)
      : fine,
  );
}

function keysOf(jwks: string): readonly unknown[] {
  if (jwks.length > longestJwks) return [];
  try {
    const parsed: unknown = JSON.parse(jwks);
    const keys = typeof parsed === 'object' && parsed !== null && 'keys' in parsed ? parsed.keys : [];
    return Array.isArray(keys) ? keys : [];
  } catch {
    // What is no JSON is refused where the key set is used; Istio's webhook does not look at it.
    return [];
  }
}
