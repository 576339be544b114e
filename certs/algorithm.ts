// Which keys and signature algorithms are accepted, and what they are called in DER and in node:crypto.
import type { KeyObject } from 'node:crypto';
import { element, oid, sequence } from './der-write.ts';

/** A signature algorithm of X.509 (RFC 5758, RFC 8017). */
export interface SignatureAlgorithm {
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly key: 'rsa' | 'ec';
  /** The encoded AlgorithmIdentifier. */
  readonly identifier: Buffer;
  /** All encodings that readers must take for it; those of RSA may lack their NULL (RFC 4055, section 5). */
  readonly accepted: readonly Buffer[];
}

export const rsaKeyOid = '1.2.840.113549.1.1.1';
export const ecKeyOid = '1.2.840.10045.2.1';
/** Curves accepted for workloads, by object identifier, as node:crypto names them. */
export const curves: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10045.3.1.7', 'prime256v1'],
  ['1.3.132.0.34', 'secp384r1'],
]);

const hashOfCurve: ReadonlyMap<string, SignatureAlgorithm['hash']> = new Map([
  ['prime256v1', 'sha256'],
  ['secp384r1', 'sha384'],
  ['secp521r1', 'sha512'],
]);
const derNull = element(0x05, Buffer.alloc(0));
/** The signature algorithms that are accepted. */
export const algorithms: readonly SignatureAlgorithm[] = [
  rsa('1.2.840.113549.1.1.11', 'sha256'),
  rsa('1.2.840.113549.1.1.12', 'sha384'),
  rsa('1.2.840.113549.1.1.13', 'sha512'),
  ec('1.2.840.10045.4.3.2', 'sha256'),
  ec('1.2.840.10045.4.3.3', 'sha384'),
  ec('1.2.840.10045.4.3.4', 'sha512'),
];

/** What an encoded AlgorithmIdentifier means; undefined for those not accepted (MD5, SHA-1, Ed25519, PSS, …). */
export function signatureAlgorithm(identifier: Buffer | undefined): SignatureAlgorithm | undefined {
  if (identifier === undefined) return undefined;
  return algorithms.find(({ accepted }) => accepted.some((encoding) => encoding.equals(identifier)));
}

/** What a CA key signs with: SHA-256, or the hash of its curve's strength. Undefined for keys that cannot sign here. */
export function signingAlgorithm(key: KeyObject): SignatureAlgorithm | undefined {
  const hash = hashOfCurve.get(key.asymmetricKeyDetails?.namedCurve ?? '');
  if (key.asymmetricKeyType === 'rsa') {
    return algorithms.find((algorithm) => algorithm.key === 'rsa' && algorithm.hash === 'sha256');
  }
  return algorithms.find((algorithm) => algorithm.key === 'ec' && algorithm.hash === hash);
}

/** Why a public key is too weak or of the wrong kind to be certified; undefined when it is fine. */
export function weaknessOf(key: KeyObject): string | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') {
    return weaknessOfRsa(details?.modulusLength ?? 0, details?.publicExponent ?? 0n);
  }
  if (key.asymmetricKeyType === 'ec') {
    return [...curves.values()].includes(details?.namedCurve ?? '')
      ? undefined
      : 'the EC key is on neither P-256 nor P-384';
  }
  return `a key of type ${key.asymmetricKeyType ?? 'secret'} is not accepted`;
}

/** Why an RSA key of that size and exponent is not accepted. */
export function weaknessOfRsa(bits: number, exponent: bigint): string | undefined {
  if (bits < 2048) {
    return `the RSA key has ${bits} bits, fewer than 2048`;
  }
  if (bits > 8192) {
    return `the RSA key has ${bits} bits, more than 8192`;
  }
  // Large exponents make verification slow on purpose; 2^31-1 is the limit that Go's clients know.
  return exponent < 3n || exponent % 2n === 0n || exponent > 0x7fffffffn
    ? 'the RSA key has an unusual exponent'
    : undefined;
}

function rsa(dotted: string, hash: SignatureAlgorithm['hash']): SignatureAlgorithm {
  const identifier = sequence(oid(dotted), derNull);
  return { hash, key: 'rsa', identifier, accepted: [identifier, sequence(oid(dotted))] };
}

function ec(dotted: string, hash: SignatureAlgorithm['hash']): SignatureAlgorithm {
  const identifier = sequence(oid(dotted));
  return { hash, key: 'ec', identifier, accepted: [identifier] };
}
