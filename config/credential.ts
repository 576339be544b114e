// Certificates of Gateways and DestinationRules: read from Secrets, and judged before an Envoy would have to refuse them.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type Diagnostic, errorOf, warningOf } from './diagnostic.ts';
import type { ConfigMap } from './kinds/config-map.ts';
import { type CredentialKey, caKeys, certificateKeys, crlKeys, ocspKey, privateKeys } from './kinds/credential-keys.ts';
import type { Secret } from './kinds/secret.ts';
import { refOf } from './object.ts';
import { formatPem, parsePem } from './pem.ts';

/** A server or client certificate with its key. */
export interface KeyPairCredential {
  /** PEM, leaf first. */
  readonly certificate: string;
  /** PEM. Secret. */
  readonly key: string;
  /** DER of an OCSP response. */
  readonly ocspStaple?: Buffer;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

/** Whom to trust. */
export interface CaCredential {
  /** PEM. */
  readonly certificates: string;
  /** PEM. */
  readonly crl?: string;
}

/** A usable credential, with what was left out of it. */
export interface Found<T> {
  readonly credential: T;
  readonly warnings: readonly Diagnostic[];
}

const curves = ['prime256v1', 'secp384r1', 'secp521r1'];
const largestValue = 1024 * 1024;

/** A key and certificate that fit; an `invalid-secret` finding says why not. `now` in milliseconds since 1970. */
export function keyPairOf(secret: Secret, now: number): Found<KeyPairCredential> | Diagnostic {
  const at = (key: string) => ({ object: refOf(secret), path: `data[${key}]` });
  const certificateKey = presentKey(secret, certificateKeys);
  const privateKey = presentKey(secret, privateKeys);
  if (certificateKey === undefined || privateKey === undefined) {
    return errorOf('invalid-secret', 'the Secret has no certificate or no key', {
      object: refOf(secret),
      help: 'expected are tls.crt and tls.key, or cert and key',
    });
  }
  const { certificates, problems } = readCertificates(textOf(secret, certificateKey));
  const [leaf] = certificates;
  if (leaf === undefined) {
    return errorOf('invalid-secret', `there is no certificate (${problems[0] ?? 'no PEM block'})`, at(certificateKey));
  }
  const key = readKey(textOf(secret, privateKey));
  if (typeof key === 'string') {
    return errorOf('invalid-secret', key, at(privateKey));
  }
  if (!leaf.checkPrivateKey(key.key)) {
    return errorOf('invalid-secret', 'the key does not belong to the certificate', at(privateKey));
  }
  if (leaf.validToDate.getTime() <= now) {
    return errorOf(
      'invalid-secret',
      `the certificate expired on ${leaf.validToDate.toISOString()}`,
      at(certificateKey),
    );
  }
  const warnings = problems.map((problem) =>
    warningOf('invalid-secret', `${problem} and is left out`, at(certificateKey)),
  );
  const staple = ocspStapleOf(secret);
  return {
    credential: {
      certificate: certificates.map(formatCertificate).join(''),
      key: key.pem,
      notAfter: leaf.validToDate.getTime(),
      ...(Buffer.isBuffer(staple) ? { ocspStaple: staple } : {}),
    },
    warnings: staple === undefined || Buffer.isBuffer(staple) ? warnings : [...warnings, staple],
  };
}

/** Roots of a Secret or ConfigMap, and its revocation list; a list that cannot be read makes the whole unusable. */
export function caOf(holder: Secret | ConfigMap, now: number): Found<CaCredential> | Diagnostic {
  const at = (key: string) => ({ object: refOf(holder), path: `data[${key}]` });
  const caKey = presentKey(holder, caKeys);
  if (caKey === undefined) {
    return errorOf('invalid-secret', `the ${holder.kind} has no CA certificate`, {
      object: refOf(holder),
      help: 'expected is ca.crt or cacert',
    });
  }
  const { certificates, problems } = readCertificates(textOf(holder, caKey));
  if (!certificates.some((certificate) => certificate.validToDate.getTime() > now)) {
    const why = certificates.length === 0 ? 'there is no CA certificate' : 'every CA certificate has expired';
    return errorOf('invalid-secret', why, at(caKey));
  }
  const crlKey = presentKey(holder, crlKeys);
  const crl = crlKey === undefined ? undefined : readCrl(textOf(holder, crlKey));
  if (crlKey !== undefined && crl === undefined) {
    return errorOf('invalid-secret', 'the revocation list is not PEM blocks of type X509 CRL', at(crlKey));
  }
  return {
    credential: { certificates: certificates.map(formatCertificate).join(''), ...(crl === undefined ? {} : { crl }) },
    warnings: problems.map((problem) => warningOf('invalid-secret', `${problem} and is left out`, at(caKey))),
  };
}

function presentKey(holder: Secret | ConfigMap, keys: readonly CredentialKey[]): CredentialKey | undefined {
  return keys.find((key) => bytesOf(holder, key).length > 0);
}

function textOf(holder: Secret | ConfigMap, key: CredentialKey): string {
  return bytesOf(holder, key).toString('utf8');
}

/** A value's bytes; empty where it is absent or too large to look at. */
function bytesOf(holder: Secret | ConfigMap, key: CredentialKey): Buffer {
  const data: Readonly<Record<string, string>> = holder.data ?? {};
  const plain: Readonly<Record<string, string>> = (isSecret(holder) ? holder.stringData : data) ?? {};
  const text = Object.hasOwn(plain, key) ? plain[key] : undefined;
  const encoded = isSecret(holder) && Object.hasOwn(data, key) ? data[key] : undefined;
  const bytes = text !== undefined ? Buffer.from(text, 'utf8') : Buffer.from(encoded ?? '', 'base64');
  return bytes.length > largestValue ? Buffer.alloc(0) : bytes;
}

function isSecret(holder: Secret | ConfigMap): holder is Secret {
  return holder.kind === 'Secret';
}

function readCertificates(pem: string): {
  readonly certificates: readonly X509Certificate[];
  readonly problems: readonly string[];
} {
  const { blocks, problems: unreadable } = parsePem(pem);
  const problems = [...unreadable];
  const certificates: X509Certificate[] = [];
  for (const [i, { label, der }] of blocks.entries()) {
    try {
      if (label !== 'CERTIFICATE') {
        throw new Error('not a certificate');
      }
      certificates.push(new X509Certificate(der));
    } catch {
      problems.push(`PEM block ${i + 1} is not a certificate`);
    }
  }
  return { certificates, problems };
}

/** A key that Envoy takes: RSA of 2048 bits or more, or EC on P-256, P-384 or P-521. A text says why not. */
function readKey(pem: string): { readonly key: KeyObject; readonly pem: string } | string {
  const block = parsePem(pem).blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined || block.label === 'ENCRYPTED PRIVATE KEY') {
    return 'there is no unencrypted PEM private key';
  }
  const text = formatPem(block.label, block.der);
  try {
    const key = createPrivateKey(text);
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
    if (key.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) < 2048) {
      return `the RSA key has ${modulusLength} bits, fewer than 2048`;
    }
    const isUsable = key.asymmetricKeyType === 'rsa' || curves.includes(namedCurve ?? '');
    return isUsable ? { key, pem: text } : 'the key is of a type that Envoy does not take';
  } catch {
    return 'the private key cannot be read';
  }
}

function readCrl(pem: string): string | undefined {
  const { blocks, problems } = parsePem(pem);
  const areLists = blocks.every(({ label, der }) => label === 'X509 CRL' && der[0] === 0x30);
  return blocks.length > 0 && problems.length === 0 && areLists
    ? blocks.map(({ label, der }) => formatPem(label, der)).join('')
    : undefined;
}

/** A staple that does not begin as a successful OCSPResponse (RFC 6960 section 4.2.1) is left out: Envoy would refuse it. */
function ocspStapleOf(secret: Secret): Buffer | Diagnostic | undefined {
  const staple = bytesOf(secret, ocspKey);
  if (staple.length === 0) {
    return undefined;
  }
  const lengthBytes = (staple[1] ?? 0) >= 0x80 ? (staple[1] ?? 0) & 0x7f : 0;
  const status = staple.subarray(2 + lengthBytes, 5 + lengthBytes);
  return staple[0] === 0x30 && status.equals(Buffer.from([0x0a, 1, 0]))
    ? staple
    : warningOf('invalid-secret', 'the OCSP staple is not a successful OCSP response and is left out', {
        object: refOf(secret),
        path: `data[${ocspKey}]`,
      });
}

function formatCertificate(certificate: X509Certificate): string {
  return formatPem('CERTIFICATE', certificate.raw);
}
