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
  const keys = keysOf(jwks);
  if (typeof keys === 'string') return invalid(path, `jwks parse error: ${keys}`);
  return keys.flatMap((key, index) =>
    privateMembers.some((member) => Object.hasOwn(key, member))
      ? doubtful(path, `jwks key at index ${index} contains private key material; only public keys are used`)
      : fine,
  );
}

/** Members that a key of each type must have (RFC 7518, RFC 8037). */
const neededMembers: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
};

/** The keys of a set, or of a single key; a text says what is wrong. */
function keysOf(jwks: string): readonly object[] | string {
  if (jwks.length > longestJwks) return 'it is too long';
  const parsed = parseJson(jwks);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'it is not a JSON object';
  const keys: unknown = 'keys' in parsed ? parsed.keys : [parsed];
  if (!Array.isArray(keys)) return 'keys is not a list';
  const bad = keys.findIndex((key) => !isKey(key));
  return bad < 0 ? keys : `the key at index ${bad} is not a JSON Web Key`;
}

function isKey(key: unknown): key is object {
  if (typeof key !== 'object' || key === null) return false;
  const members = key as Readonly<Record<string, unknown>>;
  const needed = neededMembers[String(members['kty'])];
  return needed?.every((name) => typeof members[name] === 'string' && members[name] !== '') ?? false;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
