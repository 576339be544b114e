// A key and certificate that we hold ourselves: made now, renewed at half its life and whenever the signer changes.
import { createHash } from 'node:crypto';
import { formatPem } from '../config/pem.ts';
import { type Authority, type AuthorityState, revocationsOf } from './authority.ts';
import type { CertsEnvironment } from './environment.ts';
import { issueLeaf, validityOf } from './issue.ts';
import { generateKey } from './signer.ts';

/** Key, certificate and roots at one moment, as PEM. The private key must reach nobody but its owner. */
export interface HeldCertificate {
  /** Leaf, then intermediates. */
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly rootBundle: string;
  /** Lists of revoked certificates, each as PEM. */
  readonly revocations: readonly string[];
  /** Changes with the certificate. */
  readonly version: string;
  /** Changes with the set of roots (`TrustBundle.version`). */
  readonly rootVersion: string;
  readonly signerId: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateSubject {
  readonly uris: readonly string[];
  /** May change over time, as may the lifetime. */
  readonly dnsNames: () => readonly string[];
  readonly lifetimeSeconds: () => number;
}

const retryAfter = 5_000;
/** Timers count in 32 bits. */
const longestTimer = 2 ** 31 - 1;

export class RenewingCertificate implements Disposable {
  readonly #authority: Authority;
  readonly #subject: CertificateSubject;
  readonly #env: CertsEnvironment;
  readonly #listeners = new Set<(held: HeldCertificate) => void>();
  readonly #unsubscribe: () => void;
  #held: HeldCertificate | undefined;
  #heldNames: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #issuing: Promise<void> | undefined;
  #disposed = false;

  constructor(authority: Authority, subject: CertificateSubject, env: CertsEnvironment) {
    this.#authority = authority;
    this.#subject = subject;
    this.#env = env;
    this.#unsubscribe = authority.subscribe((state) => this.#follow(state));
  }

  /** The certificate now in force; undefined until the first one is made. */
  get current(): HeldCertificate | undefined {
    return this.#held;
  }

  /** Waits for a certificate. Rejects when the first one cannot be made. */
  async ready(): Promise<HeldCertificate> {
    if (this.#held === undefined) {
      await this.renew();
    }
    if (this.#held === undefined) {
      throw new Error('the certificate cannot be made: the CA has expired');
    }
    return this.#held;
  }

  /** Calls back with each new certificate or bundle; returns how to stop. */
  subscribe(listener: (held: HeldCertificate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes a new key and certificate now. Calls that come meanwhile share it. */
  renew(): Promise<void> {
    this.#issuing ??= this.#issue().finally(() => {
      this.#issuing = undefined;
      const isStale = this.#held !== undefined && this.#held.signerId !== this.#authority.state.signer.id;
      if (isStale && !this.#disposed) {
        this.#renewSoon(0);
      }
    });
    return this.#issuing;
  }

  /** Makes a new certificate where the one in force has other names than it should. */
  namesMayHaveChanged(): void {
    if (this.#held !== undefined && this.#heldNames.join() !== this.#subject.dnsNames().join()) this.#renewSoon(0);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    this.#listeners.clear();
    this.#held = undefined;
  }

  async #issue(): Promise<void> {
    const { publicKey, privateKey } = await generateKey('ec-p256');
    const { state } = this.#authority;
    const { signer, bundle } = state;
    const now = this.#env.now();
    const validity = validityOf(now, this.#subject.lifetimeSeconds(), signer.notAfter);
    if (validity.notAfter <= now || this.#disposed) {
      this.#renewSoon(retryAfter);
      return;
    }
    const { uris } = this.#subject;
    const dnsNames = this.#subject.dnsNames();
    const publicKeyInfo = publicKey.export({ format: 'der', type: 'spki' });
    const leaf = await issueLeaf(signer, { publicKeyInfo, keyKind: 'ec', uris, dnsNames, ...validity }, this.#env);
    this.#heldNames = dnsNames;
    this.#publish({
      certificateChain: [formatPem('CERTIFICATE', leaf), ...signer.intermediates].join(''),
      privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      rootBundle: bundle.pem,
      revocations: revocationsOf(state)?.lists ?? [],
      version: createHash('sha256').update(leaf).digest('hex').slice(0, 32),
      rootVersion: bundle.version,
      signerId: signer.id,
      ...validity,
    });
    this.#follow(this.#authority.state);
    // Half of what is left from now on, not from the backdated start: short lives need it.
    this.#renewSoon((validity.notAfter - now) / 2);
  }

  #follow(state: AuthorityState): void {
    const { signer, bundle } = state;
    const held = this.#held;
    const revocations = revocationsOf(state)?.lists ?? [];
    if (
      held !== undefined &&
      (held.rootVersion !== bundle.version || held.revocations.join('') !== revocations.join(''))
    ) {
      this.#publish({ ...held, rootBundle: bundle.pem, rootVersion: bundle.version, revocations });
    }
    if (held !== undefined && held.signerId !== signer.id) {
      this.#renewSoon(0);
    }
  }

  #publish(held: HeldCertificate): void {
    if (!this.#disposed) {
      this.#held = held;
      for (const listener of [...this.#listeners]) {
        listener(held);
      }
    }
  }

  #renewSoon(delay: number): void {
    clearTimeout(this.#timer);
    if (!this.#disposed) {
      const renew = () => void this.renew().catch(() => this.#renewSoon(retryAfter));
      this.#timer = setTimeout(renew, Math.min(delay, longestTimer));
      this.#timer.unref();
    }
  }
}
