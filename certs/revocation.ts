// Certificate revocation lists that come with a plugged-in CA (RFC 5280 section 5), judged before proxies go by them.
import { verify } from 'node:crypto';
import { formatPem, parsePem } from '../config/pem.ts';
import { signatureAlgorithm } from './algorithm.ts';
import type { TrustBundle } from './bundle.ts';
import { type Certificate, isIssuedBy, parseCertificates } from './certificate.ts';
import { bitsOf, elementsOf, type ShallowElement, tags, timeOf } from './der.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import type { Signer } from './signer.ts';

/** Lists that may be handed out. Times in milliseconds since 1970. */
export interface RevocationLists {
  /** The text as the operator wrote it; empty where there are no lists. */
  readonly pem: string;
  /** Each list of it as PEM. */
  readonly lists: readonly string[];
  /** When the list of our own CAs that ends first began, and ends; absent where none ends. */
  readonly first?: { readonly notBefore: number; readonly notAfter: number };
}

/** Without any list. */
export const noRevocations: RevocationLists = { pem: '', lists: [] };

interface RevocationList {
  readonly der: Buffer;
  /** What is signed. */
  readonly signed: Buffer;
  /** Encoded Name. */
  readonly issuer: Buffer;
  /** Encoded AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  readonly signature: Buffer | undefined;
  readonly notBefore: number;
  readonly notAfter: number | undefined;
}

const label = 'X509 CRL';
/** A ConfigMap holds no more. */
const largest = 1024 * 1024;
const mostLists = 100;
/** Clocks differ. */
const skew = 5 * 60_000;

/**
 * Reads a PEM text of lists and refuses what would cut every connection: Envoy refuses a peer as soon as one CA between it
 * and its root has no current list with a right signature (CertificateValidationContext.crl). So each CA from the signer up to
 * the root needs one. Lists of CAs that are not ours, of other clusters under the same root, are not judged.
 */
export function readRevocations(
  pem: string,
  signer: Signer,
  bundle: TrustBundle,
  now: number,
): RevocationLists | Refusal {
  const { blocks, problems } = parsePem(pem, { size: largest, blocks: mostLists });
  if (problems[0] !== undefined) return refused(problems[0]);
  const lists: RevocationList[] = [];
  for (const [i, block] of blocks.entries()) {
    const list = block.label === label ? parseList(block.der) : refused(`is a ${block.label}, not an ${label}`);
    if (isRefused(list)) return refused(`PEM block ${i + 1} ${list.reason}`);
    lists.push(list);
  }
  if (lists.length === 0) return refused(`there is no PEM block ${label}`);
  const chain = chainOf(signer, bundle);
  const known = [...chain, ...bundle.roots];
  const judged: RevocationList[] = [];
  for (const list of lists) {
    const named = known.filter((authority) => authority.subject.equals(list.issuer));
    if (named.length === 0) continue;
    const by = named.find((authority) => isSignedBy(list, authority));
    const problem =
      by === undefined
        ? 'does not carry its signature'
        : by.signsLists
          ? timeProblem(list, now)
          : 'counts for nobody: its certificate has no key usage cRLSign';
    if (problem !== undefined) return refused(`the list of ${nameOf(named[0])} ${problem}`);
    judged.push(list);
  }
  const bare = chain.find((authority) => !judged.some((list) => isSignedBy(list, authority)));
  if (bare !== undefined)
    return refused(`there is no list of ${nameOf(bare)}, without which every peer would be refused`);
  const first = judged.filter(endsOnce).sort((a, b) => a.notAfter - b.notAfter)[0];
  return {
    pem,
    lists: lists.map(({ der }) => formatPem(label, der)),
    ...(first === undefined ? {} : { first: { notBefore: first.notBefore, notAfter: first.notAfter } }),
  };
}

function endsOnce(list: RevocationList): list is RevocationList & { readonly notAfter: number } {
  return list.notAfter !== undefined;
}

/** The CAs from the signer up to its root. */
function chainOf(signer: Signer, bundle: TrustBundle): readonly Certificate[] {
  const below = parseCertificates(signer.intermediates.join('')).certificates;
  const top = below.at(-1);
  const root = top === undefined ? undefined : bundle.roots.find((each) => isIssuedBy(top, each));
  return top === undefined ? [signer.certificate] : [...below, ...(root === undefined ? [] : [root])];
}

function timeProblem({ notBefore, notAfter }: RevocationList, now: number): string | undefined {
  if (notBefore > now + skew) return `begins only at ${new Date(notBefore).toISOString()}`;
  return notAfter === undefined || notAfter > now ? undefined : `has ended at ${new Date(notAfter).toISOString()}`;
}

function isSignedBy({ signed, issuer, algorithm, signature }: RevocationList, authority: Certificate): boolean {
  const { hash, key } = signatureAlgorithm(algorithm) ?? {};
  const { publicKey } = authority.x509;
  if (!issuer.equals(authority.subject) || signature === undefined || publicKey.asymmetricKeyType !== key) return false;
  try {
    return verify(hash, signed, publicKey, signature);
  } catch {
    return false;
  }
}

/** Reads one list without its entries, of which there may be many. */
function parseList(der: Buffer): RevocationList | Refusal {
  const malformed = refused('cannot be read');
  const [outer] = within(der, 1);
  const [body, algorithm, signature, ...rest] = within(outer?.content, 4);
  const isShaped = outer?.tag === tags.sequence && outer.raw.length === der.length && body?.tag === tags.sequence;
  if (!isShaped || rest.length > 0) return malformed;
  const fields = within(body.content, 8);
  // The version is there in all but the first one.
  const [named, issuer, from, until] = fields[0]?.tag === tags.integer ? fields.slice(1) : fields;
  const notBefore = timeOf(from);
  if (issuer?.tag !== tags.sequence || notBefore === undefined) return malformed;
  if (algorithm === undefined || named?.raw.equals(algorithm.raw) !== true) return malformed;
  return {
    der,
    signed: body.raw,
    issuer: issuer.raw,
    algorithm: algorithm.raw,
    signature: bitsOf(signature),
    notBefore,
    notAfter: timeOf(until),
  };
}

function within(content: Buffer | undefined, most: number): readonly ShallowElement[] {
  const elements = content === undefined ? [] : elementsOf(content, most);
  return isRefused(elements) ? [] : elements;
}

function nameOf(authority: Certificate | undefined): string {
  return authority?.x509.subject.replaceAll('\n', ', ').slice(0, 200) ?? '';
}
