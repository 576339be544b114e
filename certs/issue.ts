// Making certificates: the to-be-signed part in DER, then a signature by the CA's key (RFC 5280).

import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import type { SignatureAlgorithm } from './algorithm.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { parseDer } from './der.ts';
import {
  bitString,
  context,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  trueValue,
  unsignedInteger,
  utf8String,
} from './der-write.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { signBytes } from './signature.ts';
import type { Signer } from './signer.ts';

/** What a leaf certificate says. Times in milliseconds since 1970. */
export interface LeafContent {
  /** Encoded SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Buffer;
  readonly keyKind: 'rsa' | 'ec';
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Absent: the subject is empty. */
  readonly commonName?: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Lifetimes in seconds. */
export interface LifetimeRules {
  readonly defaultSeconds: number;
  readonly maxSeconds: number;
}

/** Istio's DEFAULT_WORKLOAD_CERT_TTL and MAX_WORKLOAD_CERT_TTL. */
export const defaultLifetimes: LifetimeRules = { defaultSeconds: 24 * 3600, maxSeconds: 90 * 24 * 3600 };

/** Certificates start this long before they are made, for peers whose clocks are behind (milliseconds). */
export const backdate = 2 * 60 * 1000;

const commonNameLimit = 64;

/** The lifetime to give: the default for zero or less; more than the maximum is refused. */
export function lifetimeOf(requestedSeconds: bigint, rules: LifetimeRules): number | Refusal {
  if (requestedSeconds <= 0n) {
    return Math.min(rules.defaultSeconds, rules.maxSeconds);
  }
  return requestedSeconds > BigInt(rules.maxSeconds)
    ? refused(`the requested lifetime exceeds the maximum of ${rules.maxSeconds} seconds`)
    : Number(requestedSeconds);
}

/** The subject's common name for a "dual use" request: the first name where it fits X.520's 64 characters. */
export function commonNameOf(wanted: boolean, names: readonly string[]): string | undefined {
  const [first] = names;
  return wanted && first !== undefined && first.length <= commonNameLimit ? first : undefined;
}

/** The validity of a certificate made now: backdated, and never beyond the end of its signer. */
export function validityOf(
  now: number,
  lifetimeSeconds: number,
  signerNotAfter: number,
): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: now - backdate, notAfter: Math.min(now + lifetimeSeconds * 1000, signerNotAfter) };
}

/** Signs a leaf: server and client use, critical SANs, random serial number. Rejects only if the key fails to sign. */
export async function issueLeaf(signer: Signer, leaf: LeafContent, env: CertsEnvironment): Promise<Buffer> {
  const { keyId } = signer.certificate;
  const extensions = [
    keyUsages[leaf.keyKind],
    ...endEntity,
    ...(keyId === undefined ? [] : [extension('2.5.29.35', false, sequence(context(0, keyId, 'primitive')))]),
    extension('2.5.29.17', true, sequence(...leaf.uris.map(uriName), ...leaf.dnsNames.map(hostName))),
  ];
  const toSign = tbsCertificate({
    serial: serialNumber(env),
    algorithm: signer.algorithm,
    issuer: signer.certificate.subject,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    subject: leaf.commonName === undefined ? sequence() : nameOf([['2.5.4.3', leaf.commonName]]),
    publicKeyInfo: leaf.publicKeyInfo,
    extensions,
  });
  return signTbs(toSign, signer.algorithm, signer.key);
}

/** A self-signed root; `subject` is an encoded Name, `keyId` the subject key identifier. */
export async function issueRoot(
  root: {
    readonly subject: Buffer;
    readonly publicKeyInfo: Buffer;
    readonly keyId: Buffer;
    readonly notBefore: number;
    readonly notAfter: number;
    readonly key: KeyObject;
    readonly algorithm: SignatureAlgorithm;
  },
  env: CertsEnvironment,
): Promise<Certificate | Refusal> {
  const toSign = tbsCertificate({
    serial: serialNumber(env),
    algorithm: root.algorithm,
    issuer: root.subject,
    notBefore: root.notBefore,
    notAfter: root.notAfter,
    subject: root.subject,
    publicKeyInfo: root.publicKeyInfo,
    extensions: [
      extension('2.5.29.15', true, namedBits(5, 6)),
      extension('2.5.29.19', true, sequence(trueValue)),
      extension('2.5.29.14', false, octetString(root.keyId)),
    ],
  });
  return parseCertificate(await signTbs(toSign, root.algorithm, root.key));
}

/** An encoded Name of the given attribute types and UTF-8 values, each in its own RDN. */
export function nameOf(attributes: readonly (readonly [type: string, value: string])[]): Buffer {
  return sequence(...attributes.map(([type, value]) => setOf(sequence(oid(type), utf8String(value)))));
}

/** The public key bits of a SubjectPublicKeyInfo, of which key identifiers are hashes (RFC 5280 section 4.2.1.2). */
export function publicKeyBits(publicKeyInfo: Buffer): Buffer {
  const info = parseDer(publicKeyInfo);
  const bits = isRefused(info) ? undefined : info.children[1];
  return bits?.content.subarray(1) ?? Buffer.alloc(0);
}

const keyUsages = {
  rsa: extension('2.5.29.15', true, namedBits(0, 2)),
  ec: extension('2.5.29.15', true, namedBits(0)),
} as const;
/** Server and client use, and no CA. */
const endEntity: readonly Buffer[] = [
  extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
  extension('2.5.29.19', true, sequence()),
];

interface TbsContent {
  readonly serial: Buffer;
  readonly algorithm: SignatureAlgorithm;
  readonly issuer: Buffer;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: Buffer;
  readonly publicKeyInfo: Buffer;
  readonly extensions: readonly Buffer[];
}

function tbsCertificate(content: TbsContent): Buffer {
  return sequence(
    context(0, unsignedInteger(Buffer.from([2])), 'constructed'),
    content.serial,
    content.algorithm.identifier,
    content.issuer,
    sequence(time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.publicKeyInfo,
    context(3, sequence(...content.extensions), 'constructed'),
  );
}

async function signTbs(toSign: Buffer, algorithm: SignatureAlgorithm, key: KeyObject): Promise<Buffer> {
  const signature = await signBytes(algorithm.hash, toSign, key);
  return sequence(toSign, algorithm.identifier, bitString(signature));
}

/** 126 random bits under a fixed pattern that keeps the number positive and 16 bytes long. */
function serialNumber(env: CertsEnvironment): Buffer {
  const bytes = Buffer.from(env.randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return unsignedInteger(bytes);
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [trueValue] : []), octetString(value));
}

function uriName(uri: string): Buffer {
  return context(6, Buffer.from(uri, 'latin1'), 'primitive');
}

function hostName(host: string): Buffer {
  if (isIP(host) === 4) {
    return context(7, Buffer.from(host.split('.').map(Number)), 'primitive');
  }
  return context(2, Buffer.from(host, 'latin1'), 'primitive');
}
