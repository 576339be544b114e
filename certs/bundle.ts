// A trust bundle: the set of roots that peers are verified against, compared as a set and never by order.
import { createHash } from 'node:crypto';
import { compareText } from '../config/object.ts';
import { type Certificate, formatCertificate, isIssuedBy, parseCertificates } from './certificate.ts';

export interface TrustBundle {
  /** Without duplicates, in the order given. */
  readonly roots: readonly Certificate[];
  /** All roots as one PEM text, in the order given. */
  readonly pem: string;
  /** Hash of the set: equal for equal sets in any order. */
  readonly version: string;
}

/** Makes a bundle from PEM. Bad blocks are dropped and reported; the good ones stay. */
export function parseBundle(pem: string): { readonly bundle: TrustBundle; readonly problems: readonly string[] } {
  const { certificates, problems } = parseCertificates(pem);
  return { bundle: bundleOf(certificates), problems };
}

/** Makes a bundle from certificates, dropping duplicates. */
export function bundleOf(certificates: readonly Certificate[]): TrustBundle {
  const byPrint = new Map<string, Certificate>();
  for (const certificate of certificates) {
    const print = fingerprintOf(certificate);
    if (!byPrint.has(print)) {
      byPrint.set(print, certificate);
    }
  }
  const roots = [...byPrint.values()];
  const version = createHash('sha256')
    .update([...byPrint.keys()].sort(compareText).join('\n'))
    .digest('hex');
  return { roots, pem: roots.map((root) => formatCertificate(root)).join(''), version: version.slice(0, 32) };
}

/** SHA-256 of the certificate, in hexadecimal. */
export function fingerprintOf(certificate: Pick<Certificate, 'der'>): string {
  return createHash('sha256').update(certificate.der).digest('hex');
}

/** Whether two bundles share a root key, so that peers that know only one of them may still verify each other. */
export function bundlesOverlap(a: TrustBundle, b: TrustBundle): boolean {
  return a.roots.some((root) => b.roots.some((other) => other.publicKeyInfo.equals(root.publicKeyInfo)));
}

/**
 * The certificates from `leaf`'s issuer up to, but without, the root (RFC 5280 section 6.1, without policies).
 * Undefined where no root of the bundle is reached. `now` in milliseconds: every certificate must be valid then.
 */
export function chainTo(
  bundle: TrustBundle,
  leaf: Certificate,
  intermediates: readonly Certificate[],
  now: number,
): readonly Certificate[] | undefined {
  const chain: Certificate[] = [];
  let current = leaf;
  for (let depth = 0; depth < 8; depth++) {
    if (!isCurrent(current, now)) {
      return undefined;
    }
    const subject = current;
    if (
      bundle.roots.some((root) => isCurrent(root, now) && (isIssuedBy(subject, root) || root.der.equals(subject.der)))
    ) {
      return chain;
    }
    const issuer = intermediates.find((candidate) => !chain.includes(candidate) && isIssuedBy(subject, candidate));
    if (issuer === undefined) {
      return undefined;
    }
    chain.push(issuer);
    current = issuer;
  }
  return undefined;
}

function isCurrent(certificate: Certificate, now: number): boolean {
  return certificate.notBefore <= now && now <= certificate.notAfter;
}
