// Opens workload identity: the authority, the port's certificate, who may call, and secrets for proxies without an agent.

import { join } from 'node:path';
import { Authority } from '../certs/authority.ts';
import { caDirectory, writePublicFile } from '../certs/ca-directory.ts';
import type { CaStore } from '../certs/ca-record.ts';
import { type Authenticate, type Authenticator, authenticateBy, certificateAuthenticator } from '../certs/caller.ts';
import type { CertsEnvironment } from '../certs/environment.ts';
import { forwardedAuthenticator, trustedGateways } from '../certs/forwarded-certificate.ts';
import { type PodDirectory, parseNodeAccounts } from '../certs/impersonation.ts';
import { fetchJwksText } from '../certs/jwks.ts';
import { type JwtIssuer, jwtAuthenticator } from '../certs/jwt-authenticator.ts';
import { parseJwtRule } from '../certs/jwt-rule.ts';
import { type Ledger, makeLedger } from '../certs/ledger.ts';
import type { Count } from '../certs/metrics.ts';
import { hasPluggedCa, pluggedSource } from '../certs/plugged.ts';
import { isRefused } from '../certs/refusal.ts';
import { defaultRootLifetime } from '../certs/root.ts';
import { selfSignedSource } from '../certs/self-signed.ts';
import { serverCertificate, serverNames, tlsSourceOf } from '../certs/server-certificate.ts';
import { certificateService } from '../certs/service.ts';
import { openTokenKey, ownJwtIssuer, type TokenKey } from '../certs/token-issuer.ts';
import { defaultWorkloadSecretOptions, WorkloadSecrets } from '../certs/workload-secret.ts';
import type { GrpcService } from '../discovery/xds/server.ts';
import type { TlsSource } from '../discovery/xds/server-credentials.ts';
import type { Settings } from './settings.ts';

/** What the rest of the program gets of identity. */
export interface WorkloadIdentity extends AsyncDisposable {
  readonly authority: Authority;
  /** Where the self-signed CA is kept: rotations of the root go through it. */
  readonly store: CaStore;
  readonly authenticate: Authenticate;
  readonly secrets: WorkloadSecrets;
  readonly ledger: Ledger;
  /** TLS of 15012 and of the webhooks. */
  readonly tls: TlsSource;
  readonly certificateService: GrpcService;
  /** File mode: signs workload tokens. */
  readonly tokenKey?: TokenKey;
}

/** What identity needs to know from elsewhere. */
export interface IdentityParts {
  readonly settings: Settings;
  /** Now, because they may change with the mesh configuration: our own first, then its aliases. */
  readonly trustDomains: () => readonly string[];
  readonly discoveryAddress?: string;
  readonly count: Count;
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly env: CertsEnvironment;
  /** Where the self-signed CA is kept; the file system in file mode. */
  readonly store?: CaStore;
  /** Kubernetes' way to check tokens. */
  readonly more?: readonly Authenticator[];
  /** Kubernetes' pods, for node agents that act for them (CA_TRUSTED_NODE_ACCOUNTS). */
  readonly pods?: PodDirectory;
}

/** Opens the authority: a plugged-in CA where its folder holds one, else our own. Throws with the reason where there is none. */
export async function openIdentity(parts: IdentityParts): Promise<WorkloadIdentity> {
  const { settings, env } = parts;
  const trustDomain = (): string => parts.trustDomains()[0] ?? 'cluster.local';
  const rootOptions = { organisation: trustDomain(), lifetime: defaultRootLifetime, algorithm: 'ec-p256' } as const;
  const fileStore = parts.store ?? caDirectory(join(settings.stateDir, 'ca'));
  const plugged = await hasPluggedCa(settings.rootCaDir);
  const source = plugged ? pluggedSource(settings.rootCaDir, env) : selfSignedSource(fileStore, rootOptions, env);
  const authority = await Authority.open(source, env);
  if (isRefused(authority)) throw new Error(`certificate authority: ${authority.reason}`);
  const names = serverNames({
    systemNamespace: settings.systemNamespace,
    revision: settings.revision,
    customHosts:
      settings.configDir === undefined ? settings.customHosts : [...settings.customHosts, 'localhost', '127.0.0.1'],
    ...(parts.discoveryAddress === undefined ? {} : { discoveryAddress: parts.discoveryAddress }),
  });
  const certificate = serverCertificate(authority, names, env);
  await certificate.ready();
  const tokenKey = settings.configDir === undefined ? undefined : await openTokenKey(fileStore, rootOptions, env);
  if (isRefused(tokenKey)) throw new Error(`token key: ${tokenKey.reason}`);
  const issuers = [
    ...(tokenKey === undefined ? [] : [ownJwtIssuer(tokenKey, settings.tokenAudiences)]),
    ...configuredIssuers(settings, env),
  ];
  const authenticate = authenticateBy([
    certificateAuthenticator(parts.trustDomains, env.now),
    jwtAuthenticator(issuers, trustDomain, env.now),
    ...(parts.more ?? []),
    ...trustedForwarding(settings, parts),
  ]);
  const ledger = makeLedger(100_000, env.now);
  const lifetimes = {
    defaultSeconds: settings.defaultWorkloadCertTtlMs / 1000,
    maxSeconds: settings.maxWorkloadCertTtlMs / 1000,
  };
  const secrets = new WorkloadSecrets(
    authority,
    { ...defaultWorkloadSecretOptions, lifetimeSeconds: () => settings.agentlessCertTtlMs / 1000 },
    env,
  );
  if (settings.configDir !== undefined)
    await followRootFile(authority, join(settings.stateDir, 'root-cert.pem'), parts);
  return {
    authority,
    store: fileStore,
    authenticate,
    secrets,
    ledger,
    tls: tlsSourceOf(certificate),
    certificateService: certificateService({
      authority,
      authenticate,
      lifetimes: () => lifetimes,
      ...(parts.pods === undefined
        ? {}
        : { impersonation: { accounts: parseNodeAccounts(settings.trustedNodeAccounts), pods: parts.pods } }),
      ledger,
      count: parts.count,
      env,
      secure: true,
      mostPending: 10_000,
      onFailure: (failure) => parts.log('warn', 'certificate request refused', failure),
    }),
    ...(tokenKey === undefined ? {} : { tokenKey }),
    async [Symbol.asyncDispose]() {
      secrets[Symbol.dispose]();
      certificate[Symbol.dispose]();
      authority[Symbol.dispose]();
    },
  };
}

/** The issuer of JWT_RULE. Throws where the rule is none. */
function configuredIssuers(settings: Settings, env: CertsEnvironment): readonly JwtIssuer[] {
  if (settings.jwtRule === '') return [];
  const issuer = parseJwtRule(settings.jwtRule, settings.tokenAudiences, fetchJwksText, env.now);
  if (isRefused(issuer)) throw new Error(issuer.reason);
  return [issuer];
}

/** Gateways of TRUSTED_GATEWAY_CIDR. Throws where that is no list of CIDRs. */
function trustedForwarding(settings: Settings, parts: IdentityParts): readonly Authenticator[] {
  if (settings.trustedGatewayCidr === '') return [];
  const gateways = trustedGateways(settings.trustedGatewayCidr);
  if (isRefused(gateways)) throw new Error(`TRUSTED_GATEWAY_CIDR: ${gateways.reason}`);
  return [forwardedAuthenticator(gateways, parts.trustDomains, parts.env.now)];
}

/** Keeps the root bundle in a file, as the ConfigMap istio-ca-root-cert does in a cluster. */
async function followRootFile(authority: Authority, path: string, parts: IdentityParts): Promise<void> {
  const write = (): Promise<void> => writePublicFile(path, authority.state.bundle.pem);
  await write();
  authority.subscribe(() => {
    write().catch((error: unknown) =>
      parts.log('error', 'the root certificates cannot be written', { path, error: String(error) }),
    );
  });
}
