// Keys and certificates that the server makes for Envoys without an agent: one per authenticated identity, shared by its streams.
import type { Authority } from './authority.ts';
import type { CertsEnvironment } from './environment.ts';
import { formatIdentity, type Identity } from './identity.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { type HeldCertificate, RenewingCertificate } from './renewing-certificate.ts';
import type { Readiness } from './rotation-driver.ts';

/** What SDS serves as `default` (chain and key) and `ROOTCA` (roots). */
export type WorkloadSecret = HeldCertificate;

/** One stream's hold on its identity's secret. Whoever has the lease may have the secret: hand it to no other stream. */
export interface WorkloadSecretLease {
  readonly identity: Identity;
  /** undefined until the first certificate is made. */
  current(): WorkloadSecret | undefined;
  /** Waits for the first certificate. Rejects when none can be made. */
  ready(): Promise<WorkloadSecret>;
  /** Calls back with each later secret; returns how to stop. */
  subscribe(listener: (secret: WorkloadSecret) => void): () => void;
  /** The proxy accepted that secret's certificate (`default`) or roots (`ROOTCA`). */
  acknowledge(name: 'default' | 'ROOTCA', secret: WorkloadSecret): void;
  /** The stream has ended. */
  release(): void;
}

export interface WorkloadSecretOptions {
  readonly lifetimeSeconds: () => number;
  /** Identities at once; more are refused. */
  readonly mostIdentities: number;
  /** Milliseconds for which a secret outlives its last stream, so that a reconnect finds it. */
  readonly linger: number;
}

export const defaultWorkloadSecretOptions: WorkloadSecretOptions = {
  lifetimeSeconds: () => 24 * 3600,
  mostIdentities: 50_000,
  linger: 60_000,
};

interface Entry {
  readonly certificate: RenewingCertificate;
  leases: number;
  expiry: NodeJS.Timeout | undefined;
}

interface Progress {
  readonly proxy: string;
  readonly certificate: RenewingCertificate;
  rootVersion: string | undefined;
  signerId: string | undefined;
}

export class WorkloadSecrets implements Disposable {
  readonly #authority: Authority;
  readonly #options: WorkloadSecretOptions;
  readonly #env: CertsEnvironment;
  readonly #entries = new Map<string, Entry>();
  readonly #progress = new Set<Progress>();

  constructor(authority: Authority, options: WorkloadSecretOptions, env: CertsEnvironment) {
    this.#authority = authority;
    this.#options = options;
    this.#env = env;
  }

  /** How many identities have a secret. */
  get size(): number {
    return this.#entries.size;
  }

  /** Takes a hold for one stream of an authenticated identity. `proxy` names it in `laggards`. */
  acquire(identity: Identity, proxy: string): WorkloadSecretLease | Refusal {
    const id = formatIdentity(identity);
    const entry = this.#entryOf(id);
    if (isRefused(entry)) {
      return entry;
    }
    clearTimeout(entry.expiry);
    entry.leases += 1;
    const { certificate } = entry;
    const progress: Progress = { proxy, certificate, rootVersion: undefined, signerId: undefined };
    this.#progress.add(progress);
    const stops = new Set<() => void>();
    return {
      identity,
      current: () => certificate.current,
      ready: () => certificate.ready(),
      subscribe: (listener) => {
        const stop = certificate.subscribe(listener);
        stops.add(stop);
        return () => {
          stops.delete(stop);
          stop();
        };
      },
      acknowledge: (name, secret) => {
        if (name === 'ROOTCA') {
          progress.rootVersion = secret.rootVersion;
        } else {
          progress.signerId = secret.signerId;
        }
      },
      release: () => {
        if (this.#progress.delete(progress)) {
          for (const stop of stops) {
            stop();
          }
          this.#release(id, entry);
        }
      },
    };
  }

  /** The proxies that have not acknowledged what a rotation's step asks for, sorted. */
  laggards({ bundleVersion, signerId }: Readiness): readonly string[] {
    const isReady = (progress: Progress) =>
      progress.rootVersion === bundleVersion && (signerId === undefined || progress.signerId === signerId);
    const lagging = [...this.#progress].filter((progress) => !isReady(progress));
    return [...new Set(lagging.map((progress) => progress.proxy))].sort();
  }

  [Symbol.dispose](): void {
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.expiry);
      entry.certificate[Symbol.dispose]();
    }
    this.#entries.clear();
    this.#progress.clear();
  }

  #entryOf(id: string): Entry | Refusal {
    const existing = this.#entries.get(id);
    if (existing !== undefined) {
      return existing;
    }
    if (this.#entries.size >= this.#options.mostIdentities) {
      return refused(`secrets for ${this.#options.mostIdentities} identities are held already`);
    }
    const subject = { uris: [id], dnsNames: () => [], lifetimeSeconds: this.#options.lifetimeSeconds };
    const certificate = new RenewingCertificate(this.#authority, subject, this.#env);
    const entry: Entry = { certificate, leases: 0, expiry: undefined };
    this.#entries.set(id, entry);
    // A failure shows in `ready()`; the certificate goes on trying.
    certificate.ready().catch(() => undefined);
    return entry;
  }

  #release(id: string, entry: Entry): void {
    entry.leases -= 1;
    if (entry.leases === 0) {
      entry.expiry = setTimeout(() => {
        this.#entries.delete(id);
        entry.certificate[Symbol.dispose]();
      }, this.#options.linger);
      entry.expiry.unref();
    }
  }
}
