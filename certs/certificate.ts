// Reading X.509 certificates (RFC 5280): the fields that signing, trust and caller checks need.
import { X509Certificate } from 'node:crypto';
import { formatPem, parsePem } from '../config/pem.ts';
import { type DerElement, oidOf, parseDer, tags, timeOf } from './der.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

/** A certificate; times in milliseconds since 1970. */
export interface Certificate {
  readonly der: Buffer;
  readonly x509: X509Certificate;
  /** Encoded Name, byte for byte. */
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly publicKeyInfo: Buffer;
  /** Content of the subject key identifier; absent where the certificate has none. */
  readonly keyId?: Buffer;
  readonly isCa: boolean;
  /** Whether its key usage lets its key sign revocation lists. */
  readonly signsLists: boolean;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly selfSigned: boolean;
}

const subjectKeyId = '2.5.29.14';
const subjectAltName = '2.5.29.17';
const keyUsage = '2.5.29.15';
/** Bit 6 of KeyUsage (RFC 5280 section 4.2.1.3). */
const crlSignBit = 0x02;
const extensionsTag = 0xa3;
const largest = 64 * 1024;

/** Reads one certificate; a refusal says why it is not one. Nothing is verified. */
export function parseCertificate(der: Buffer): Certificate | Refusal {
  const root = parseDer(der, { bytes: largest, depth: 16, elements: 4000 });
  if (isRefused(root)) {
    return root;
  }
  const fields = root.children[0]?.children ?? [];
  const [version, , , issuer, validity, subject, keyInfo] = fields;
  const [from, until] = validity?.children.map((time) => timeOf(time)) ?? [];
  if (version?.tag !== 0xa0 || issuer === undefined || subject === undefined || keyInfo === undefined) {
    return refused('the certificate is not an X.509 v3 certificate');
  }
  if (from === undefined || until === undefined) {
    return refused('the certificate has no readable validity');
  }
  try {
    const x509 = new X509Certificate(der);
    const extensions = fields.find((field) => field.tag === extensionsTag)?.children[0]?.children ?? [];
    const keyId = innerOf(extensions, subjectKeyId)?.content;
    const names = innerOf(extensions, subjectAltName)?.children ?? [];
    const usage = innerOf(extensions, keyUsage);
    return {
      der,
      x509,
      subject: subject.raw,
      issuer: issuer.raw,
      publicKeyInfo: keyInfo.raw,
      ...(keyId === undefined ? {} : { keyId }),
      isCa: x509.ca,
      signsLists: usage === undefined || ((usage.content[1] ?? 0) & crlSignBit) !== 0,
      notBefore: from,
      notAfter: until,
      uris: names.filter((name) => name.tag === 0x86).map((name) => name.content.toString('latin1')),
      dnsNames: names.filter((name) => name.tag === 0x82).map((name) => name.content.toString('latin1')),
      selfSigned: subject.raw.equals(issuer.raw) && x509.verify(x509.publicKey),
    };
  } catch {
    return refused('the certificate cannot be read');
  }
}

/** Reads all certificates of a PEM text; what is not a certificate is left out and reported. */
export function parseCertificates(pem: string): {
  readonly certificates: readonly Certificate[];
  readonly problems: readonly string[];
} {
  const content = parsePem(pem);
  const problems = [...content.problems];
  const certificates: Certificate[] = [];
  for (const [i, block] of content.blocks.entries()) {
    const certificate =
      block.label === 'CERTIFICATE' ? parseCertificate(block.der) : refused(`is a ${block.label}, not a certificate`);
    if (isRefused(certificate)) {
      problems.push(`PEM block ${i + 1}: ${certificate.reason}`);
    } else {
      certificates.push(certificate);
    }
  }
  return { certificates, problems };
}

/** The certificate as PEM with a final newline. */
export function formatCertificate(certificate: Pick<Certificate, 'der'>): string {
  return formatPem('CERTIFICATE', certificate.der);
}

/** Whether `issuer` is a CA that signed `certificate`. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!issuer.isCa || !certificate.issuer.equals(issuer.subject)) {
    return false;
  }
  try {
    return certificate.x509.verify(issuer.x509.publicKey);
  } catch {
    return false;
  }
}

/** The parsed value of one extension; undefined where it is absent or malformed. */
function innerOf(extensions: readonly DerElement[], dotted: string): DerElement | undefined {
  const extension = extensions.find((candidate) => oidOf(candidate.children[0]) === dotted);
  const value = extension?.children.find((child) => child.tag === tags.octetString);
  const inner = value === undefined ? undefined : parseDer(value.content);
  return inner === undefined || isRefused(inner) ? undefined : inner;
}
