// Opens workload identity: the authority, the port's certificate, who may call, and secrets for proxies without an agent.
import { join, resolve } from 'node:path';
import type { Authority } from '../certs/authority.ts';
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
import type { CallBegan, Count } from '../certs/metrics.ts';
import { isRefused } from '../certs/refusal.ts';
import { certificateService } from '../certs/service.ts';
import { openTokenKey, ownJwtIssuer, type TokenKey } from '../certs/token-issuer.ts';
import { defaultWorkloadSecretOptions, WorkloadSecrets } from '../certs/workload-secret.ts';
import { rootsSecret, rootsSecretFile } from '../config/bootstrap-discovery.ts';
import type { GrpcService } from '../discovery/xds/server.ts';
import { openAuthority, rootOptionsOf } from './authority.ts';
import { type FollowedRoots, openServerIdentity, type ServerIdentity } from './server-identity.ts';
import type { Settings } from './settings.ts';

/** What the rest of the program gets of identity. */
export interface WorkloadIdentity
  extends Pick<ServerIdentity, 'tls' | 'roots' | 'namesMayHaveChanged'>,
    AsyncDisposable {
  /** What signs certificates of workloads; absent with ENABLE_CA_SERVER=false. */
  readonly signing?: Signing;
  /** Where the self-signed CA is kept: rotations of the root go through it. */
  readonly store: CaStore;
  readonly authenticate: Authenticate;
  readonly ledger: Ledger;
  /** File mode: signs workload tokens. */
  readonly tokenKey?: TokenKey;
}

/** The authority, and the two ways to get a certificate of it. */
export interface Signing {
  readonly authority: Authority;
  /** For proxies with an agent. */
  readonly certificateService: GrpcService;
  /** For proxies without. */
  readonly secrets: WorkloadSecrets;
}

/** What identity needs to know from elsewhere. */
export interface IdentityParts {
  readonly settings: Settings;
  /** Now, because they may change with the mesh configuration: our own first, then its aliases. */
  readonly trustDomains: () => readonly string[];
  /** `host:port` of meshConfig.defaultConfig.discoveryAddress, now. */
  readonly discoveryAddress: () => string;
  readonly count: Count;
  /** Hears of calls of the certificate service. */
  readonly callBegan?: CallBegan;
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly env: CertsEnvironment;
  /** Where the self-signed CA is kept; the file system in file mode. */
  readonly store?: CaStore;
  /** Kubernetes' way to check tokens. */
  readonly more?: readonly Authenticator[];
  /** Kubernetes' pods, for node agents that act for them (CA_TRUSTED_NODE_ACCOUNTS). */
  readonly pods?: PodDirectory;
}

/** Opens identity. Throws with the reason where there is no authority, or no certificate, and should be one. */
export async function openIdentity(parts: IdentityParts): Promise<WorkloadIdentity> {
  const { settings, env } = parts;
  const trustDomain = (): string => parts.trustDomains()[0] ?? 'cluster.local';
  const rootOptions = rootOptionsOf(settings, trustDomain());
  const store = parts.store ?? caDirectory(join(settings.stateDir, 'ca'));
  const authority = await openAuthority(settings, store, rootOptions, env);
  const server = await openServerIdentity({
    settings,
    authority,
    discoveryAddress: parts.discoveryAddress,
    onProblem: (reason) => parts.log('error', "the control plane's certificate cannot be renewed", { reason }),
    env,
  });
  const tokenKey = settings.configDir === undefined ? undefined : await openTokenKey(store, rootOptions, env);
  if (isRefused(tokenKey)) throw new Error(`token key: ${tokenKey.reason}`);
  const issuers = [
    ...(tokenKey === undefined ? [] : [ownJwtIssuer(tokenKey, settings.tokenAudiences)]),
    ...configuredIssuers(parts),
  ];
  const authenticate = authenticateBy([
    certificateAuthenticator(parts.trustDomains, env.now),
    jwtAuthenticator(issuers, trustDomain, env.now),
    ...(parts.more ?? []),
    ...trustedForwarding(settings, parts),
  ]);
  const ledger = makeLedger(100_000, env.now);
  const signing = authority === undefined ? undefined : signingBy(authority, authenticate, ledger, parts);
  if (settings.configDir !== undefined)
    await followRootFile(server.roots, join(settings.stateDir, 'root-cert.pem'), parts);
  return {
    ...(server.tls === undefined ? {} : { tls: server.tls }),
    roots: server.roots,
    namesMayHaveChanged: server.namesMayHaveChanged,
    ...(signing === undefined ? {} : { signing }),
    store,
    authenticate,
    ledger,
    ...(tokenKey === undefined ? {} : { tokenKey }),
    async [Symbol.asyncDispose]() {
      signing?.secrets[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      authority?.[Symbol.dispose]();
    },
  };
}

function signingBy(authority: Authority, authenticate: Authenticate, ledger: Ledger, parts: IdentityParts): Signing {
  const { settings, env, pods } = parts;
  const { defaultWorkloadCertTtlMs, maxWorkloadCertTtlMs, agentlessCertTtlMs, trustedNodeAccounts } = settings;
  const lifetimes = { defaultSeconds: defaultWorkloadCertTtlMs / 1000, maxSeconds: maxWorkloadCertTtlMs / 1000 };
  const lifetimeSeconds = () => (agentlessCertTtlMs ?? defaultWorkloadCertTtlMs) / 1000;
  return {
    authority,
    secrets: new WorkloadSecrets(authority, { ...defaultWorkloadSecretOptions, lifetimeSeconds }, env),
    certificateService: certificateService({
      authority,
      authenticate,
      lifetimes: () => lifetimes,
      ...(pods === undefined ? {} : { impersonation: { accounts: parseNodeAccounts(trustedNodeAccounts), pods } }),
      ledger,
      count: parts.count,
      ...(parts.callBegan === undefined ? {} : { callBegan: parts.callBegan }),
      env,
      secure: true,
      mostPending: 10_000,
      onFailure: (failure) => parts.log('warn', 'certificate request refused', failure),
    }),
  };
}

/** The issuers of JWT_RULE and of TOKEN_ISSUER. Throws where a rule is none. */
function configuredIssuers({ settings, env }: IdentityParts): readonly JwtIssuer[] {
  const { jwtRule, tokenIssuer, tokenIssuerAudience, tokenAudiences, kubernetesHost } = settings;
  const audiences = tokenIssuerAudience === '' ? [] : [tokenIssuerAudience];
  // In a cluster its API server says which tokens count.
  const own = tokenIssuer === '' || kubernetesHost !== '' ? '' : JSON.stringify({ issuer: tokenIssuer, audiences });
  return [
    ['JWT_RULE', jwtRule],
    ['TOKEN_ISSUER', own],
  ].flatMap(([variable = '', rule = '']) => {
    if (rule === '') return [];
    const issuer = parseJwtRule(rule, tokenAudiences, fetchJwksText, env.now);
    if (isRefused(issuer)) throw new Error(`${variable}: ${issuer.reason}`);
    return [issuer];
  });
}

/** Gateways of TRUSTED_GATEWAY_CIDR. Throws where that is no list of CIDRs. */
function trustedForwarding(settings: Settings, parts: IdentityParts): readonly Authenticator[] {
  if (settings.trustedGatewayCidr === '') return [];
  const gateways = trustedGateways(settings.trustedGatewayCidr);
  if (isRefused(gateways)) throw new Error(`TRUSTED_GATEWAY_CIDR: ${gateways.reason}`);
  return [forwardedAuthenticator(gateways, parts.trustDomains, parts.env.now)];
}

/** Keeps the root bundle in a file, as the ConfigMap istio-ca-root-cert does in a cluster, and beside it what Envoy follows it by. */
async function followRootFile(roots: FollowedRoots, path: string, parts: IdentityParts): Promise<void> {
  const write = (): Promise<void> => writePublicFile(path, roots.current());
  await write();
  await writePublicFile(rootsSecretFile(path), JSON.stringify(rootsSecret(resolve(path))));
  roots.onChange(() => {
    write().catch((error: unknown) =>
      parts.log('error', 'the root certificates cannot be written', { path, error: String(error) }),
    );
  });
}
