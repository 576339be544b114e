// The certificate authority with a lifetime: who signs and whom to trust now, kept current, told to those who listen.
import { type Diagnostic, errorOf, warningOf } from '../config/diagnostic.ts';
import { bundlesOverlap, type TrustBundle } from './bundle.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import type { RevocationLists } from './revocation.ts';
import type { Rotation } from './rotation.ts';
import type { Signer } from './signer.ts';

/** The authority at one moment; replaced as a whole. */
export interface AuthorityState {
  readonly signer: Signer;
  readonly bundle: TrustBundle;
  readonly rotation: Rotation;
  /**
   * The revocation lists that came with a plugged-in CA, or why they cannot be used; absent where that is no business of
   * this authority.
   */
  readonly revocations?: RevocationLists | Refusal;
}

/** The lists that are in force; undefined where there may be some that are not known. */
export function revocationsOf({ revocations }: AuthorityState): RevocationLists | undefined {
  return revocations === undefined || isRefused(revocations) ? undefined : revocations;
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
  readonly #lookListeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #state: AuthorityState;
  #problems: readonly string[] = [];
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
    authority.#problems = isRefused(state.revocations) ? [state.revocations.reason] : [];
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

  /** Calls back after each look at the source, when `diagnostics` may say something else; returns how to stop. */
  onLook(listener: () => void): () => void {
    this.#lookListeners.add(listener);
    return () => this.#lookListeners.delete(listener);
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

  /** Why the last reading did not take effect, and what is about to end. */
  diagnostics(): readonly Diagnostic[] {
    const now = this.#env.now();
    const left = this.#state.signer.notAfter - now;
    const ending = left < this.#options.expiryWarning ? [`the CA certificate ends in ${daysOf(left)} days`] : [];
    return [
      ...this.#problems.map((problem) => errorOf('invalid-secret', problem)),
      ...[...ending, ...endingLists(revocationsOf(this.#state), now)].map((text) => warningOf('invalid-secret', text)),
    ];
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stops.splice(0)) {
      stop();
    }
    this.#listeners.clear();
    this.#lookListeners.clear();
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
      for (const listener of [...this.#lookListeners]) listener();
    } while (this.#again);
  }

  #take(next: AuthorityState | Refusal): void {
    const problem = isRefused(next) ? next.reason : this.#breaksTrust(next);
    if (problem !== undefined || isRefused(next)) {
      this.#problems = [`${problem}; the CA in use stays`];
      return;
    }
    const { revocations } = next;
    const last = revocationsOf(this.#state);
    const keepsLists = isRefused(revocations) && last !== undefined && last.pem !== '';
    this.#problems = isRefused(revocations)
      ? [`${revocations.reason}${keepsLists ? '; the last lists stay in force' : ''}`]
      : [];
    const taken = keepsLists ? { ...next, revocations: last } : next;
    if (sameState(this.#state, taken)) return;
    this.#state = taken;
    for (const listener of [...this.#listeners]) {
      listener(taken);
    }
  }

  /** An operator's new roots that share none with those in use would cut every connection; our own come in steps. */
  #breaksTrust(next: AuthorityState): string | undefined {
    if (this.kind === 'self-signed') return undefined;
    if (!bundlesOverlap(this.#state.bundle, next.bundle))
      return 'the new roots share none with the ones in use: add the new root beside the old one first';
    // With the last lists, which know nothing of it, every certificate by another signer would be refused.
    const hasLists = (revocationsOf(this.#state)?.pem ?? '') !== '';
    return hasLists && isRefused(next.revocations) && next.signer.id !== this.#state.signer.id
      ? next.revocations.reason
      : undefined;
  }
}

function sameState(a: AuthorityState, b: AuthorityState): boolean {
  return (
    a.bundle.version === b.bundle.version &&
    a.signer.certificate.der.equals(b.signer.certificate.der) &&
    a.signer.intermediates.join('') === b.signer.intermediates.join('') &&
    revocationsOf(a)?.pem === revocationsOf(b)?.pem &&
    a.rotation.step === b.rotation.step &&
    a.rotation.since === b.rotation.since &&
    a.rotation.held === b.rotation.held
  );
}

/** A warning when less than a quarter of a list's life is left: after its end proxies refuse every peer. */
function endingLists(lists: RevocationLists | undefined, now: number): readonly string[] {
  if (lists?.first === undefined) return [];
  const { notBefore, notAfter } = lists.first;
  const left = notAfter - now;
  if (left > (notAfter - notBefore) / 4) return [];
  return [
    left > 0
      ? `a revocation list ends in ${daysOf(left)} days: proxies refuse every peer from then on`
      : 'a revocation list in force has ended: proxies refuse every peer',
  ];
}

function daysOf(ms: number): number {
  return Math.max(0, Math.floor(ms / 86_400_000));
}
