// JSON Web Tokens (RFC 7515, 7519): strict reading, signatures by asymmetric keys only, and the claims that must hold.
import { constants, type KeyObject, sign } from 'node:crypto';
import { type Refusal, refused } from './refusal.ts';
import { joseToDer, type VerifyOptions, verifyBytes } from './signature.ts';

/** A token that is well-formed; nothing of it is believed yet. */
export interface UnverifiedToken {
  readonly algorithm: JwtAlgorithm;
  readonly keyId?: string;
  readonly claims: Claims;
  readonly signedText: Buffer;
  readonly signature: Buffer;
}

/** Claims by name, as JSON. */
export type Claims = Readonly<Record<string, unknown>>;

export interface ClaimRules {
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audiences: readonly string[];
  /** Seconds by which the issuer's clock may be ahead (`nbf`, `iat`). Expiry is exact. */
  readonly skewSeconds?: number;
}

interface AlgorithmRules extends VerifyOptions {
  readonly key: 'rsa' | 'ec';
  readonly curve?: string;
  /** Bytes of each of an ECDSA signature's two numbers. */
  readonly size?: number;
}

const longestToken = 16 * 1024;
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

/** Neither `none` nor the HMACs: those would let a public key sign. */
const algorithms = {
  RS256: { key: 'rsa', hash: 'sha256' },
  RS384: { key: 'rsa', hash: 'sha384' },
  RS512: { key: 'rsa', hash: 'sha512' },
  PS256: { key: 'rsa', hash: 'sha256', ...pss },
  PS384: { key: 'rsa', hash: 'sha384', ...pss },
  PS512: { key: 'rsa', hash: 'sha512', ...pss },
  ES256: { key: 'ec', hash: 'sha256', curve: 'prime256v1', size: 32 },
  ES384: { key: 'ec', hash: 'sha384', curve: 'secp384r1', size: 48 },
  ES512: { key: 'ec', hash: 'sha512', curve: 'secp521r1', size: 66 },
} as const satisfies Record<string, AlgorithmRules>;

export type JwtAlgorithm = keyof typeof algorithms;

/** Reads a compact JWS without believing it: size, form, algorithm. */
export function parseJwt(token: string): UnverifiedToken | Refusal {
  if (token.length > longestToken) {
    return refused('the token is too long');
  }
  const parts = token.split('.');
  const [head = '', body = '', signature = ''] = parts;
  const header = parts.length === 3 ? readObject(head) : undefined;
  const claims = parts.length === 3 ? readObject(body) : undefined;
  if (header === undefined || claims === undefined || !isBase64Url(signature)) {
    return refused('the token is not a JWT');
  }
  const { alg, kid, crit } = header;
  if (typeof alg !== 'string' || !Object.hasOwn(algorithms, alg)) {
    return refused('the token has an algorithm that is not accepted');
  }
  if (crit !== undefined || header['b64'] !== undefined || (kid !== undefined && typeof kid !== 'string')) {
    return refused('the token has a header that is not understood');
  }
  return {
    algorithm: alg as JwtAlgorithm,
    ...(kid === undefined ? {} : { keyId: kid }),
    claims,
    signedText: Buffer.from(`${head}.${body}`, 'latin1'),
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** Whether a key may verify that algorithm: its type, curve and size. */
export function fitsAlgorithm(key: KeyObject, algorithm: JwtAlgorithm): boolean {
  const rules: AlgorithmRules = algorithms[algorithm];
  const details = key.asymmetricKeyDetails;
  if (key.type !== 'public' || key.asymmetricKeyType !== rules.key) {
    return false;
  }
  return rules.key === 'rsa' ? (details?.modulusLength ?? 0) >= 2048 : details?.namedCurve === rules.curve;
}

/** Whether the token bears that key's signature. */
export function verifyJwt(token: UnverifiedToken, key: KeyObject): Promise<boolean> {
  const rules: AlgorithmRules = algorithms[token.algorithm];
  const signature = rules.size === undefined ? token.signature : joseToDer(token.signature, rules.size);
  return signature !== undefined && fitsAlgorithm(key, token.algorithm)
    ? verifyBytes(rules, token.signedText, key, signature)
    : Promise.resolve(false);
}

/** Why verified claims do not hold at `now` (milliseconds); undefined when they do. A token must expire. */
export function claimProblem(claims: Claims, rules: ClaimRules, now: number): string | undefined {
  const { iss, aud, exp, nbf, iat } = claims;
  const seconds = now / 1000;
  const latestStart = seconds + (rules.skewSeconds ?? 60);
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (iss !== rules.issuer) {
    return 'the token is of another issuer';
  }
  if (!audiences.some((audience) => typeof audience === 'string' && rules.audiences.includes(audience))) {
    return 'the token is for another audience';
  }
  if (typeof exp !== 'number' || !Number.isFinite(exp)) {
    return 'the token never expires';
  }
  if (exp <= seconds) {
    return 'the token has expired';
  }
  const starts = [nbf, iat].filter((start) => start !== undefined);
  return starts.every((start) => typeof start === 'number' && start <= latestStart)
    ? undefined
    : 'the token is not valid yet';
}

/** Signs claims with an EC P-256 key. */
export function signJwt(claims: Claims, key: KeyObject, keyId: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signedText = `${encode({ alg: 'ES256', kid: keyId, typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(signedText, 'latin1'), { key, dsaEncoding: 'ieee-p1363' });
  return `${signedText}.${signature.toString('base64url')}`;
}

function isBase64Url(text: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(text);
}

function readObject(part: string): Readonly<Record<string, unknown>> | undefined {
  if (!isBase64Url(part)) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
