// Certificate signing requests for tests: proper ones, and ones that are wrong in one respect.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { algorithms } from '../../certs/algorithm.ts';
import { bitString, context, octetString, oid, sequence, setOf, unsignedInteger } from '../../certs/der-write.ts';
import { nameOf } from '../../certs/issue.ts';
import { formatPem } from '../../config/pem.ts';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface CsrOptions {
  readonly commonName?: string;
  readonly uris?: readonly string[];
  /** The key whose signature the request bears, where it is not its own. */
  readonly signedBy?: KeyPair;
  readonly hash?: 'sha256' | 'sha384' | 'sha512';
  /** The encoded AlgorithmIdentifier beside the signature, where it is not the proper one. */
  readonly identifier?: Buffer;
}

/** An EC pair on the curve. */
export function ecKeys(namedCurve = 'prime256v1'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve });
}

/** An RSA pair of that many bits. */
export function rsaKeys(modulusLength = 2048): KeyPair {
  return generateKeyPairSync('rsa', { modulusLength });
}

/** A request as DER, in the layout that Go's x509 package writes. */
export function makeCsrDer(keys: KeyPair, options: CsrOptions = {}): Buffer {
  const signer = options.signedBy ?? keys;
  const hash = options.hash ?? 'sha256';
  const subject =
    options.commonName === undefined ? nameOf([['2.5.4.10', 'x']]) : nameOf([['2.5.4.3', options.commonName]]);
  const names = sequence(
    ...(options.uris ?? ['spiffe://cluster.local/ns/x/sa/y']).map((uri) => context(6, Buffer.from(uri), 'primitive')),
  );
  const request = sequence(
    oid('1.2.840.113549.1.9.14'),
    setOf(sequence(sequence(oid('2.5.29.17'), octetString(names)))),
  );
  const info = sequence(
    unsignedInteger(Buffer.from([0])),
    subject,
    keys.publicKey.export({ format: 'der', type: 'spki' }),
    context(0, request, 'constructed'),
  );
  const key = signer.privateKey.asymmetricKeyType;
  const algorithm = algorithms.find((one) => one.key === key && one.hash === hash);
  return sequence(
    info,
    options.identifier ?? algorithm?.identifier ?? Buffer.alloc(0),
    bitString(sign(hash, info, signer.privateKey)),
  );
}

/** A request as PEM. */
export function makeCsr(keys: KeyPair, options: CsrOptions = {}): string {
  return formatPem('CERTIFICATE REQUEST', makeCsrDer(keys, options));
}
