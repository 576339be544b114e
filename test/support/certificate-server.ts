// A certificate service on a loopback port with TLS, as a server runs it, and clients for it.
import { randomUUID } from 'node:crypto';
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
} from '@grpc/grpc-js';
import { Authority } from '../../certs/authority.ts';
import type { CaRecord, CaStore } from '../../certs/ca-record.ts';
import { type Authenticator, authenticateBy, certificateAuthenticator } from '../../certs/caller.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { defaultLifetimes } from '../../certs/issue.ts';
import { jwtAuthenticator } from '../../certs/jwt-authenticator.ts';
import { type Ledger, makeLedger } from '../../certs/ledger.ts';
import type { CitadelCounter } from '../../certs/metrics.ts';
import { isRefused, type Refusal } from '../../certs/refusal.ts';
import type { RenewingCertificate } from '../../certs/renewing-certificate.ts';
import { defaultRootLifetime } from '../../certs/root.ts';
import { selfSignedSource } from '../../certs/self-signed.ts';
import { serverCertificate, tlsSourceOf } from '../../certs/server-certificate.ts';
import {
  addCertificateService,
  type CertificateServiceOptions,
  certificateServiceDefinition,
} from '../../certs/service.ts';
import type { KeyAlgorithm } from '../../certs/signer.ts';
import { issueToken, openTokenKey, ownJwtIssuer, type TokenKey } from '../../certs/token-issuer.ts';
import { ReloadingCredentials } from '../../discovery/xds/server-credentials.ts';

export const rootOptions = {
  organisation: 'cluster.local',
  lifetime: defaultRootLifetime,
  algorithm: 'ec-p256',
} as const;

export interface CertificateServer extends AsyncDisposable {
  readonly port: number;
  readonly plaintextPort: number;
  readonly authority: Authority;
  readonly store: CaStore;
  readonly certificate: RenewingCertificate;
  readonly tokenKey: TokenKey;
  readonly ledger: Ledger;
  readonly counts: Map<CitadelCounter, number>;
  readonly failures: string[];
}

export interface CertificateServerOptions {
  readonly algorithm?: KeyAlgorithm;
  readonly authenticators?: readonly Authenticator[];
  readonly service?: Partial<CertificateServiceOptions>;
}

/** A value that must not be a refusal. */
export function accepted<T>(value: T | Refusal): T {
  if (isRefused(value)) {
    throw new Error(`refused: ${value.reason}`);
  }
  return value;
}

/** A store in memory. */
export function memoryStore(): CaStore {
  let stored: { record: CaRecord; version: string } | undefined;
  return {
    read: async () => stored,
    create: async (record) => {
      if (stored !== undefined) {
        return 'exists';
      }
      stored = { record, version: randomUUID() };
      return 'created';
    },
    replace: async (record, expected) => {
      if (stored?.version !== expected) {
        return 'conflict';
      }
      stored = { record, version: randomUUID() };
      return 'replaced';
    },
  };
}

/** Starts the service with its own tokens and client certificates as credentials. */
export async function startCertificateServer(options: CertificateServerOptions = {}): Promise<CertificateServer> {
  const store = memoryStore();
  const env = systemEnvironment;
  const root = { ...rootOptions, algorithm: options.algorithm ?? rootOptions.algorithm };
  const authority = accepted(await Authority.open(selfSignedSource(store, root, env), env));
  const tokenKey = accepted(await openTokenKey(store, root, env));
  const counts = new Map<CitadelCounter, number>();
  const failures: string[] = [];
  const ledger = makeLedger(1000, env.now);
  const trustDomain = () => 'cluster.local';
  const authenticate = authenticateBy([
    certificateAuthenticator(() => ['cluster.local'], env.now),
    jwtAuthenticator([ownJwtIssuer(tokenKey)], trustDomain, env.now),
    ...(options.authenticators ?? []),
  ]);
  const service: CertificateServiceOptions = {
    authority,
    authenticate,
    lifetimes: () => defaultLifetimes,
    ledger,
    count: (counter) => counts.set(counter, (counts.get(counter) ?? 0) + 1),
    env,
    secure: true,
    mostPending: 1000,
    onFailure: ({ reason }) => failures.push(reason),
    ...options.service,
  };
  const certificate = serverCertificate(authority, () => ['localhost', 'istiod.istio-system.svc'], env);
  await certificate.ready();
  const tls = new ReloadingCredentials(tlsSourceOf(certificate));
  const [server, plaintext] = [new Server(), new Server()];
  addCertificateService(server, service);
  addCertificateService(plaintext, { ...service, secure: false });
  const [port, plaintextPort] = [await bind(server, tls), await bind(plaintext)];
  return {
    ...{ port, plaintextPort, authority, store, certificate, tokenKey, ledger, counts, failures },
    [Symbol.asyncDispose]: async () => {
      server.forceShutdown();
      plaintext.forceShutdown();
      tls[Symbol.dispose]();
      certificate[Symbol.dispose]();
      authority[Symbol.dispose]();
    },
  };
}

/** A token of the server's own issuer. */
export async function newToken(server: CertificateServer, namespace: string, serviceAccount: string): Promise<string> {
  const request = { namespace, serviceAccount, audience: 'istio-ca', lifetimeSeconds: 3600 };
  return accepted(issueToken(server.tokenKey, request, systemEnvironment));
}

/** A client of the TLS port; with key and chain it presents a certificate. */
export function connect(server: CertificateServer, key?: string, chain?: string): Client {
  const roots = Buffer.from(server.authority.state.bundle.pem);
  const own = key === undefined || chain === undefined ? [] : [Buffer.from(key), Buffer.from(chain)];
  return open(server.port, credentials.createSsl(roots, ...own));
}

/** A client of the plaintext port. */
export function connectPlaintext(server: CertificateServer): Client {
  return open(server.plaintextPort, credentials.createInsecure());
}

export interface CreateRequest {
  readonly csr: string;
  readonly token?: string;
  readonly seconds?: number;
  readonly impersonate?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Calls CreateCertificate. Rejects with the gRPC error. */
export function createCertificate(client: Client, request: CreateRequest): Promise<readonly string[]> {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(request.metadata ?? {})) {
    metadata.set(key, value);
  }
  if (request.token !== undefined) {
    metadata.set('authorization', `Bearer ${request.token}`);
  }
  const { path, requestSerialize, responseDeserialize } = certificateServiceDefinition.createCertificate;
  const struct = request.impersonate === undefined ? {} : { metadata: { ImpersonatedIdentity: request.impersonate } };
  const message = {
    $typeName: 'istio.v1.auth.IstioCertificateRequest' as const,
    csr: request.csr,
    validityDuration: BigInt(request.seconds ?? 0),
    ...struct,
  };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, (error, response) =>
      error === null ? resolve(response?.certChain ?? []) : reject(error),
    );
  });
}

/** The outcome of a call that must fail: `code message`. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'no failure';
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${code} ${details}`;
  }
}

function open(port: number, by: ChannelCredentials): Client {
  return new Client(`localhost:${port}`, by, { 'grpc.use_local_subchannel_pool': 1 });
}

function bind(server: Server, by?: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error));
    server.bindAsync('localhost:0', by ?? ServerCredentials.createInsecure(), done);
  });
}
