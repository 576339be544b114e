// Certificate signing requests (PKCS #10, RFC 2986): bounded parsing, key rules, proof of possession.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { parsePem } from '../config/pem.ts';
import { curves, ecKeyOid, rsaKeyOid, signatureAlgorithm, weaknessOfRsa } from './algorithm.ts';
import { bitsOf, type DerElement, oidOf, parseDer, tags } from './der.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { verifyBytes } from './signature.ts';

/** A request whose signature is that of the key it asks to certify. Its SANs are not read: the caller decides those. */
export interface CheckedCsr {
  /** The encoded SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Buffer;
  readonly keyKind: 'rsa' | 'ec';
  /** The request's subject has a common name, which asks for a "dual use" certificate with a subject. */
  readonly wantsCommonName: boolean;
}

/** Characters of PEM; an RSA-8192 request with a few names takes 3 kB. */
const longestCsr = 64 * 1024;
const commonNameOid = '2.5.4.3';

/** Checks a PEM request: exactly one, nothing around it, RSA of 2048 bits or more, P-256 or P-384, signed by its key. */
export async function checkCsr(pem: string): Promise<CheckedCsr | Refusal> {
  const der = derOfCsr(pem);
  if (isRefused(der)) {
    return der;
  }
  const root = parseDer(der, { bytes: longestCsr, depth: 12, elements: 2000 });
  if (isRefused(root)) {
    return root;
  }
  const [info, algorithmId, signatureBits, ...rest] = root.children;
  const [version, subject, keyInfo, attributes, ...more] = info?.children ?? [];
  const shaped =
    root.tag === tags.sequence &&
    info?.tag === tags.sequence &&
    version?.tag === tags.integer &&
    version.content.equals(Buffer.from([0])) &&
    subject?.tag === tags.sequence &&
    attributes?.tag === 0xa0;
  if (!shaped || rest.length > 0 || more.length > 0) {
    return refused('the CSR is not a PKCS #10 request');
  }
  const key = publicKeyOf(keyInfo);
  const algorithm = signatureAlgorithm(algorithmId?.raw);
  const signature = bitsOf(signatureBits);
  if (isRefused(key)) {
    return key;
  }
  if (algorithm === undefined || signature === undefined || algorithm.key !== key.asymmetricKeyType) {
    return refused('the CSR has a signature algorithm that is not accepted');
  }
  if (!(await verifyBytes({ hash: algorithm.hash }, info.raw, key, signature))) {
    return refused('the CSR is not signed by the key it carries');
  }
  return {
    publicKeyInfo: keyInfo?.raw ?? Buffer.alloc(0),
    keyKind: algorithm.key,
    wantsCommonName: hasCommonName(subject),
  };
}

function derOfCsr(pem: string): Buffer | Refusal {
  if (pem.length > longestCsr) {
    return refused(`the CSR is longer than ${longestCsr} characters`);
  }
  const trimmed = pem.trim();
  const { blocks, problems } = parsePem(trimmed, { size: longestCsr, blocks: 1 });
  const [block] = blocks;
  if (block === undefined || problems.length > 0) {
    return refused(`the CSR is not one PEM block${problems[0] === undefined ? '' : `: ${problems[0]}`}`);
  }
  const labelled = block.label === 'CERTIFICATE REQUEST' || block.label === 'NEW CERTIFICATE REQUEST';
  if (!labelled || !trimmed.startsWith('-----BEGIN ') || !trimmed.endsWith(`-----END ${block.label}-----`)) {
    return refused('the CSR is not exactly one CERTIFICATE REQUEST block');
  }
  return block.der;
}

/** Judges the key by its encoding, before OpenSSL spends time on it. */
function publicKeyOf(info: DerElement | undefined): KeyObject | Refusal {
  const [algorithm, parameters] = info?.children[0]?.children ?? [];
  const kind = oidOf(algorithm);
  const isEc = kind === ecKeyOid && curves.has(oidOf(parameters) ?? '');
  if (info === undefined || !(isEc || kind === rsaKeyOid)) {
    return refused('the CSR has a public key that is neither RSA nor EC on P-256 or P-384');
  }
  const weakness = kind === rsaKeyOid ? rsaWeakness(info) : undefined;
  if (weakness !== undefined) {
    return refused(weakness);
  }
  try {
    return createPublicKey({ key: info.raw, format: 'der', type: 'spki' });
  } catch {
    return refused('the CSR has a public key that cannot be read');
  }
}

/** RSAPublicKey (RFC 8017, appendix A.1.1) inside a SubjectPublicKeyInfo. */
function rsaWeakness(info: DerElement): string | undefined {
  const key = parseDer(bitsOf(info.children[1]) ?? Buffer.alloc(0));
  const [modulus, exponent] = isRefused(key) ? [] : key.children;
  if (modulus?.tag !== tags.integer || exponent?.tag !== tags.integer || exponent.content.length > 8) {
    return 'the CSR has an RSA key that cannot be read or has an unusual exponent';
  }
  return weaknessOfRsa(bitLength(modulus.content), BigInt(`0x${exponent.content.toString('hex') || '0'}`));
}

function bitLength(number: Buffer): number {
  const first = number.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (number.length - first) * 8 - Math.clz32(number[first] ?? 0) + 24;
}

function hasCommonName(subject: DerElement): boolean {
  return subject.children.some((set) =>
    set.children.some((pair) => oidOf(pair.children[0]) === commonNameOid && pair.children[1]?.content.length !== 0),
  );
}
