// What signs certificates: a CA certificate, its key and the chain from it towards the root, checked to fit together.
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { parsePem } from '../config/pem.ts';
import { type SignatureAlgorithm, signingAlgorithm, weaknessOf } from './algorithm.ts';
import { chainTo, type TrustBundle } from './bundle.ts';
import { type Certificate, formatCertificate, isIssuedBy, parseCertificates } from './certificate.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

export interface Signer {
  readonly certificate: Certificate;
  readonly key: KeyObject;
  readonly algorithm: SignatureAlgorithm;
  /** Hash of the public key: equal for a renewed certificate with the same key. */
  readonly id: string;
  /** PEM of the signer and those above it, without the root: what a leaf's holder must present besides the leaf. */
  readonly intermediates: readonly string[];
  /** The earliest end of the signer and everything above it, in milliseconds since 1970. */
  readonly notAfter: number;
}

export type KeyAlgorithm = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096';

/** Makes a signer from PEM texts; refuses keys, certificates and chains that do not belong together. */
export function makeSigner(
  certificatePem: string,
  keyPem: string,
  chainPem: string,
  bundle: TrustBundle,
  now: number,
): Signer | Refusal {
  const [certificate, ...following] = parseCertificates(certificatePem).certificates;
  if (certificate === undefined) {
    return refused('the CA certificate is not readable PEM');
  }
  const key = readSigningKey(keyPem);
  if (isRefused(key)) {
    return key;
  }
  if (!certificate.x509.checkPrivateKey(key)) {
    return refused('the CA key does not belong to the CA certificate');
  }
  if (!certificate.isCa) {
    return refused('the CA certificate is not marked as a CA');
  }
  if (now > certificate.notAfter) {
    return refused('the CA certificate has expired');
  }
  const algorithm = signingAlgorithm(key);
  if (algorithm === undefined) {
    return refused('the CA key is of a kind that cannot sign here');
  }
  const path = pathOf(certificate, [...following, ...parseCertificates(chainPem).certificates], bundle, now);
  if (path === undefined) {
    return refused('no chain of valid certificates leads from the CA certificate to a trusted root');
  }
  return {
    certificate,
    key,
    algorithm,
    id: keyIdOf(certificate),
    intermediates: path.intermediates.map((each) => formatCertificate(each)),
    notAfter: Math.min(...path.all.map((each) => each.notAfter)),
  };
}

/** Hash of a certificate's public key. */
export function keyIdOf(certificate: Pick<Certificate, 'publicKeyInfo'>): string {
  return createHash('sha256').update(certificate.publicKeyInfo).digest('hex').slice(0, 32);
}

/** Reads a CA's private key (PKCS #8, PKCS #1 or SEC 1 PEM) of the kinds that may sign. */
export function readSigningKey(pem: string): KeyObject | Refusal {
  const { blocks } = parsePem(pem, { size: 64 * 1024, blocks: 4 });
  // OpenSSL writes EC keys with a block of curve parameters before them.
  const block = blocks.find((each) => each.label.endsWith('PRIVATE KEY'));
  if (block === undefined || block.label === 'ENCRYPTED PRIVATE KEY') {
    return refused('the CA key is not an unencrypted PEM private key');
  }
  try {
    const type = block.label === 'RSA PRIVATE KEY' ? 'pkcs1' : block.label === 'EC PRIVATE KEY' ? 'sec1' : 'pkcs8';
    const key = createPrivateKey({ key: block.der, format: 'der', type });
    const isP521 = key.asymmetricKeyDetails?.namedCurve === 'secp521r1';
    const weakness = isP521 ? undefined : weaknessOf(createPublicKey(key));
    return weakness === undefined ? key : refused(`the CA key cannot be used: ${weakness}`);
  } catch {
    return refused('the CA key cannot be read');
  }
}

/** A fresh key pair, made off the event loop. */
export function generateKey(
  algorithm: KeyAlgorithm,
): Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) =>
      error === null ? resolve({ publicKey, privateKey }) : reject(error);
    if (algorithm === 'ec-p256' || algorithm === 'ec-p384') {
      generateKeyPair('ec', { namedCurve: algorithm === 'ec-p256' ? 'prime256v1' : 'secp384r1' }, done);
    } else {
      generateKeyPair('rsa', { modulusLength: Number(algorithm.slice('rsa-'.length)) }, done);
    }
  });
}

function pathOf(
  certificate: Certificate,
  above: readonly Certificate[],
  bundle: TrustBundle,
  now: number,
): { readonly intermediates: readonly Certificate[]; readonly all: readonly Certificate[] } | undefined {
  if (bundle.roots.some((root) => root.der.equals(certificate.der))) {
    return { intermediates: [], all: [certificate] };
  }
  const candidates = above.filter((each) => !each.selfSigned && !each.der.equals(certificate.der));
  const upper = chainTo(bundle, certificate, candidates, now);
  if (upper === undefined) {
    return undefined;
  }
  const last = upper.at(-1) ?? certificate;
  const root = bundle.roots.find((each) => isIssuedBy(last, each));
  // A self-signed root that a renewed one with the same key replaced is trusted through its key.
  const intermediates = certificate.selfSigned ? [] : [certificate, ...upper];
  return { intermediates, all: [certificate, ...upper, ...(root === undefined ? [] : [root])] };
}
