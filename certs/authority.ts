// The certificate authority with a lifetime: who signs and whom to trust now, kept current, told to those who listen.
import { type Diagnostic, errorOf, warningOf } from '../config/diagnostic.ts';
import { bundlesOverlap, type TrustBundle } from './bundle.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import type { Rotation } from './rotation.ts';
import type { Signer } from './signer.ts';

/** The authority at one moment; replaced as a whole. */
export interface AuthorityState {
  readonly signer: Signer;
  readonly bundle: TrustBundle;
  readonly rotation: Rotation;
  /** PEM certificate revocation lists that came with a plugged-in CA. */
  readonly revocations?: string;
}

/** Where an authority's state comes from. */
export interface AuthoritySource {
  readonly kind: 'self-signed' | 'plugged';
  /** Reads the state, making or renewing it where that is this source's business. Rejects when storage fails. */
  load(): Promise<AuthorityState | Refusal>;
  /** Calls back when a change may have happened; returns how to stop. */
  watch?(changed: () => void): () => void;
}

export interface AuthorityOptions {
  /** Milliseconds between two looks at the source; changes that are noticed come sooner. */
  readonly pollInterval: number;
  /** A warning is given when the signer has less than this many milliseconds left. */
  readonly expiryWarning: number;
}

export const defaultAuthorityOptions: AuthorityOptions = { pollInterval: 60_000, expiryWarning: 30 * 24 * 3600 * 1000 };

/** Several files change one after another; they are read when this many milliseconds passed quietly. */
const settleTime = 100;

export class Authority implements Disposable {
  readonly kind: AuthoritySource['kind'];
  readonly #source: AuthoritySource;
  readonly #env: CertsEnvironment;
  readonly #options: AuthorityOptions;
  readonly #listeners = new Set<(state: AuthorityState) => void>();
  readonly #stops: (() => void)[] = [];
  #state: AuthorityState;
  #problem: Diagnostic | undefined;
  #refreshing: Promise<void> | undefined;
  #again = false;

  private constructor(
    source: AuthoritySource,
    state: AuthorityState,
    options: AuthorityOptions,
    env: CertsEnvironment,
  ) {
    this.kind = source.kind;
    this.#source = source;
    this.#state = state;
    this.#options = options;
    this.#env = env;
  }

  /** Loads the authority and keeps it current until disposed. A refusal says why there is none: never a substitute. */
  static async open(
    source: AuthoritySource,
    env: CertsEnvironment,
    options: AuthorityOptions = defaultAuthorityOptions,
  ): Promise<Authority | Refusal> {
    const state = await source.load();
    if (isRefused(state)) {
      return state;
    }
    const authority = new Authority(source, state, options, env);
    authority.#keepCurrent();
    return authority;
  }

  /** Who signs and whom to trust at this moment. */
  get state(): AuthorityState {
    return this.#state;
  }

  /** Calls back after each change; returns how to stop. */
  subscribe(listener: (state: AuthorityState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the source now. Calls that come meanwhile are answered by one more reading. */
  async refresh(): Promise<void> {
    if (this.#refreshing !== undefined) {
      this.#again = true;
      return this.#refreshing;
    }
    this.#refreshing = this.#refreshUntilQuiet();
    try {
      await this.#refreshing;
    } finally {
      this.#refreshing = undefined;
    }
  }

  /** Why the last reading did not take effect, and whether the signer is about to end. */
  diagnostics(): readonly Diagnostic[] {
    const left = this.#state.signer.notAfter - this.#env.now();
    const ending =
      left < this.#options.expiryWarning
        ? [warningOf('invalid-secret', `the CA certificate ends in ${Math.max(0, Math.floor(left / 86_400_000))} days`)]
        : [];
    return [...(this.#problem === undefined ? [] : [this.#problem]), ...ending];
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stops.splice(0)) {
      stop();
    }
    this.#listeners.clear();
  }

  #keepCurrent(): void {
    const poll = setInterval(() => void this.refresh(), this.#options.pollInterval);
    poll.unref();
    let settling: NodeJS.Timeout | undefined;
    const stopWatching = this.#source.watch?.(() => {
      clearTimeout(settling);
      settling = setTimeout(() => void this.refresh(), settleTime);
    });
    this.#stops.push(
      () => clearInterval(poll),
      () => clearTimeout(settling),
      () => stopWatching?.(),
    );
  }

  async #refreshUntilQuiet(): Promise<void> {
    do {
      this.#again = false;
      const next = await this.#source.load().catch(() => refused('the CA storage cannot be reached'));
      this.#take(next);
    } while (this.#again);
  }

  #take(next: AuthorityState | Refusal): void {
    const problem = isRefused(next) ? next.reason : this.#breaksTrust(next);
    if (problem !== undefined) {
      this.#problem = errorOf('invalid-secret', `${problem}; the CA in use stays`);
      return;
    }
    this.#problem = undefined;
    if (!isRefused(next) && !sameState(this.#state, next)) {
      this.#state = next;
      for (const listener of [...this.#listeners]) {
        listener(next);
      }
    }
  }

  /** An operator's new roots that share none with those in use would cut every connection; our own come in steps. */
  #breaksTrust(next: AuthorityState): string | undefined {
    return this.kind === 'self-signed' || bundlesOverlap(this.#state.bundle, next.bundle)
      ? undefined
      : 'the new roots share none with the ones in use: add the new root beside the old one first';
  }
}

function sameState(a: AuthorityState, b: AuthorityState): boolean {
  return (
    a.bundle.version === b.bundle.version &&
    a.signer.certificate.der.equals(b.signer.certificate.der) &&
    a.signer.intermediates.join('') === b.signer.intermediates.join('') &&
    a.revocations === b.revocations &&
    a.rotation.step === b.rotation.step &&
    a.rotation.since === b.rotation.since &&
    a.rotation.held === b.rotation.held
  );
}
