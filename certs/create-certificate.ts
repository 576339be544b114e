// What the certificate service does with one request: who calls, is the CSR sound, for how long, sign, and lay out the reply.
import { formatPem } from '../config/pem.ts';
import type { Authority } from './authority.ts';
import type { Authenticate, CallerFacts, CallerIdentity } from './caller.ts';
import { type CheckedCsr, checkCsr } from './csr.ts';
import type { CertsEnvironment } from './environment.ts';
import { formatIdentity, type Identity } from './identity.ts';
import { impersonate, type PodDirectory, type TrustedNodeAccounts } from './impersonation.ts';
import { commonNameOf, issueLeaf, type LifetimeRules, lifetimeOf, validityOf } from './issue.ts';
import type { Ledger } from './ledger.ts';
import type { Count } from './metrics.ts';
import { isRefused, type Refusal } from './refusal.ts';

export interface CertificateRequest {
  readonly csr: string;
  /** Seconds; zero or less asks for the default. */
  readonly validityDuration: bigint;
  readonly impersonatedIdentity?: string;
}

/** The reply, or the gRPC status (by name) with a message that tells a stranger nothing. */
export type CertificateReply =
  | { readonly kind: 'issued'; readonly certChain: readonly string[] }
  | {
      readonly kind: 'failed';
      readonly status: 'UNAUTHENTICATED' | 'INVALID_ARGUMENT' | 'INTERNAL';
      readonly message: string;
      /** For our log. */
      readonly reason: string;
    };

export interface CertificateAuthorityOptions {
  readonly authority: Authority;
  readonly authenticate: Authenticate;
  readonly lifetimes: () => LifetimeRules;
  /** Absent: nobody may impersonate. */
  readonly impersonation?: { readonly accounts: TrustedNodeAccounts; readonly pods: PodDirectory };
  readonly ledger: Ledger;
  readonly count: Count;
  readonly env: CertsEnvironment;
}

/** Answers one request (Istio's security/v1alpha1/ca.proto). Never rejects. */
export async function createCertificate(
  request: CertificateRequest,
  facts: CallerFacts,
  options: CertificateAuthorityOptions,
): Promise<CertificateReply> {
  options.count('csr_count');
  const caller = await options.authenticate(facts);
  if (isRefused(caller)) {
    options.count('authentication_failure_count');
    return unauthenticated(caller.reason);
  }
  const identities = identitiesOf(request, caller.identities, options);
  if (isRefused(identities)) {
    options.count('id_extraction_err_count');
    return unauthenticated(identities.reason);
  }
  const lifetime = lifetimeOf(request.validityDuration, options.lifetimes());
  const csr = isRefused(lifetime) ? lifetime : await checkCsr(request.csr);
  if (isRefused(csr) || isRefused(lifetime)) {
    const { reason } = isRefused(lifetime) ? lifetime : (csr as Refusal);
    options.count('csr_parsing_err_count');
    return { kind: 'failed', status: 'INVALID_ARGUMENT', message: reason, reason };
  }
  const holder = holderOf(request, caller.identities, facts);
  const reply = await sign(csr, identities, lifetime, holder, options).catch(
    (): CertificateReply => internal('the CA key failed to sign'),
  );
  options.count(reply.kind === 'issued' ? 'success_cert_issuance_count' : 'csr_sign_err_count');
  return reply;
}

async function sign(
  csr: CheckedCsr,
  identities: readonly Identity[],
  lifetime: number,
  holder: string,
  options: CertificateAuthorityOptions,
): Promise<CertificateReply> {
  // One state for the whole reply: a rotation in between must not mix two authorities.
  const { signer, bundle } = options.authority.state;
  const now = options.env.now();
  const validity = validityOf(now, lifetime, signer.notAfter);
  if (validity.notAfter <= now) {
    return internal('the CA certificate has expired');
  }
  const uris = identities.map(formatIdentity);
  const commonName = commonNameOf(csr.wantsCommonName, uris);
  const { publicKeyInfo, keyKind } = csr;
  const content = { publicKeyInfo, keyKind, uris, dnsNames: [], ...validity };
  const leaf = await issueLeaf(signer, commonName === undefined ? content : { ...content, commonName }, options.env);
  for (const identity of uris) {
    const serial = serialOf(leaf);
    options.ledger.note({ identity, holder, serial, signerId: signer.id, bundleVersion: bundle.version, ...validity });
  }
  return { kind: 'issued', certChain: [formatPem('CERTIFICATE', leaf), ...signer.intermediates, bundle.pem] };
}

function identitiesOf(
  request: CertificateRequest,
  callers: readonly CallerIdentity[],
  options: CertificateAuthorityOptions,
): readonly Identity[] | Refusal {
  if (request.impersonatedIdentity === undefined || request.impersonatedIdentity === '') {
    return callers;
  }
  const { accounts, pods } = options.impersonation ?? { accounts: new Set<string>(), pods: noPods };
  const identity = impersonate(callers, request.impersonatedIdentity, accounts, pods);
  return isRefused(identity) ? identity : [identity];
}

const noPods: PodDirectory = { pod: () => undefined, runsOn: () => false };

/** The pod where the token names one; the peer's host otherwise. */
function holderOf(request: CertificateRequest, callers: readonly CallerIdentity[], facts: CallerFacts): string {
  const host = facts.remoteAddress?.replace(/:\d+$/, '') ?? 'unknown';
  const holder = callers[0]?.podUid ?? host;
  return request.impersonatedIdentity === undefined ? holder : `node agent ${holder}`;
}

/** The serial number that `issueLeaf` wrote: 16 bytes behind the outer headers and the version. */
function serialOf(leaf: Buffer): string {
  const versionAt = leaf.indexOf(Buffer.from('a003020102', 'hex'));
  return leaf.subarray(versionAt + 7, versionAt + 23).toString('hex');
}

function unauthenticated(reason: string): CertificateReply {
  return { kind: 'failed', status: 'UNAUTHENTICATED', message: 'request authenticate failure', reason };
}

function internal(reason: string): CertificateReply {
  return { kind: 'failed', status: 'INTERNAL', message: 'certificate signing error', reason };
}
