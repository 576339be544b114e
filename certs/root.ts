// Self-signed roots: made once, and renewed with the same key well before they end.
import { createHash, type KeyObject } from 'node:crypto';
import { signingAlgorithm } from './algorithm.ts';
import { type Certificate, formatCertificate } from './certificate.ts';
import type { CertsEnvironment } from './environment.ts';
import { backdate, issueRoot, nameOf, publicKeyBits } from './issue.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { generateKey, type KeyAlgorithm } from './signer.ts';

/** A root and its key as PEM texts. */
export interface RootPems {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Lifetime in milliseconds. */
export interface RootOptions {
  readonly organisation: string;
  readonly lifetime: number;
  readonly algorithm: KeyAlgorithm;
}

/** Ten years, as CITADEL_SELF_SIGNED_CA_CERT_TTL has by default. */
export const defaultRootLifetime = 10 * 365 * 24 * 3600 * 1000;

/** Makes a new root with a new key. Rejects only where the machine cannot make keys. */
export async function createRoot(options: RootOptions, env: CertsEnvironment): Promise<RootPems | Refusal> {
  const { publicKey, privateKey } = await generateKey(options.algorithm);
  const publicKeyInfo = publicKey.export({ format: 'der', type: 'spki' });
  const keyId = createHash('sha256').update(publicKeyBits(publicKeyInfo)).digest().subarray(0, 20);
  // The key's hash in the name keeps two roots of one mesh apart while both are trusted.
  const subject = nameOf([
    ['2.5.4.10', options.organisation.slice(0, 64)],
    ['2.5.4.3', `Mesh root ${keyId.toString('hex').slice(0, 16)}`],
  ]);
  const certificate = await selfSign({ subject, publicKeyInfo, keyId }, privateKey, options.lifetime, env);
  return isRefused(certificate)
    ? certificate
    : {
        certificatePem: formatCertificate(certificate),
        keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      };
}

/** The same root with the same key and name and a new validity: everything it signed stays valid under both. */
export async function renewRoot(
  root: Certificate,
  key: KeyObject,
  lifetime: number,
  env: CertsEnvironment,
): Promise<Certificate | Refusal> {
  const { subject, publicKeyInfo } = root;
  const keyId = root.keyId ?? createHash('sha256').update(publicKeyBits(publicKeyInfo)).digest().subarray(0, 20);
  return selfSign({ subject, publicKeyInfo, keyId }, key, lifetime, env);
}

/** Whether less than `percent` of a root's life is left (CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE: 20). */
export function isRenewalDue(root: Certificate, now: number, percent = 20): boolean {
  return root.notAfter - now < ((root.notAfter - root.notBefore) * percent) / 100;
}

async function selfSign(
  names: { readonly subject: Buffer; readonly publicKeyInfo: Buffer; readonly keyId: Buffer },
  key: KeyObject,
  lifetime: number,
  env: CertsEnvironment,
): Promise<Certificate | Refusal> {
  const algorithm = signingAlgorithm(key);
  if (algorithm === undefined) {
    return refused('the root key is of a kind that cannot sign here');
  }
  const now = env.now();
  return issueRoot({ ...names, key, algorithm, notBefore: now - backdate, notAfter: now + lifetime }, env);
}
