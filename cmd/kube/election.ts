// Leader election by a Lease (coordination.k8s.io/v1): of all replicas, one at a time may write.
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { refusal } from './refusal.ts';

/** What an election needs. Times in milliseconds. */
export interface ElectionOptions {
  readonly api: Pick<KubeApi, 'send'>;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Who we are; a replica that comes back under the same name leads again at once. */
  readonly holder: string;
  /** How long a leader that is not heard of stays one; it renews at a third of that. */
  readonly durationMs: number;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Only differences of it count: the clocks of replicas may differ. */
  readonly monotonic: () => number;
  /** Milliseconds since the epoch, for the Lease's times, which people read. */
  readonly now: () => number;
  /** Told of each change. Whoever is told `false` must stop writing. */
  readonly changed: (leading: boolean) => void;
  readonly log: (message: string) => void;
}

interface Lease {
  readonly apiVersion: 'coordination.k8s.io/v1';
  readonly kind: 'Lease';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/**
 * What happens when, as shares of the duration. Others may take a Lease when they have not seen it change for as long as it
 * lasts; a leader that could not renew it ends before, whatever its requests do. Two attempts that get no answer fit in
 * between, and many that are refused.
 */
const shares = { renewal: 1 / 3, attempt: 1 / 6, retry: 1 / 30, look: 1 / 4, leadership: 0.65 } as const;
/** A process that is busy for a moment has not lost its API server. */
const leastAttemptMs = 1_000;
/** For what is under way when asked to stop, and giving the Lease back, together. */
const endMs = 3_000;

/**
 * Stands for election until the signal aborts, then gives the Lease back, for which an API server has three seconds.
 * Never rejects.
 */
export async function standForElection(options: ElectionOptions, signal: AbortSignal): Promise<void> {
  const { sleep } = options;
  const [end, done] = [new AbortController(), new AbortController()];
  const endSoon = (): void => void sleep(endMs, done.signal).then(() => end.abort());
  signal.addEventListener('abort', endSoon, { once: true });
  const candidate = new Candidate(options, end.signal);
  while (!signal.aborted) await sleep(await candidate.round(), signal);
  await candidate.release();
  done.abort();
}

class Candidate {
  readonly #options: ElectionOptions;
  /** Ends every request. */
  readonly #end: AbortSignal;
  #leading = false;
  /** Ends the timer of our leadership. */
  #renewed = new AbortController();
  /** Another's Lease as we saw it last, and when it last changed by our clock. */
  #seen: { readonly version: string; readonly at: number } | undefined;

  constructor(options: ElectionOptions, end: AbortSignal) {
    this.#options = options;
    this.#end = end;
  }

  /** One attempt to get or keep the Lease. Gives the milliseconds until the next: a leader tries again soon where it fails. */
  async round(): Promise<number> {
    const { monotonic, durationMs, log, name } = this.#options;
    const begun = monotonic();
    try {
      const attemptMs = Math.max(shares.attempt * durationMs, leastAttemptMs);
      const held = await this.#within(attemptMs, (signal) => this.#take(signal));
      if (held) this.#leadFrom(begun);
      else this.#set(false);
      return durationMs * (held ? shares.renewal : shares.look);
    } catch (error) {
      log(`the Lease ${name} cannot be renewed: ${error instanceof Error ? error.message : String(error)}`);
      return durationMs * (this.#leading ? shares.retry : shares.look);
    }
  }

  async release(): Promise<void> {
    if (!this.#leading) return;
    this.#set(false);
    try {
      await this.#within(endMs, async (signal) => {
        const lease = await this.#read(signal);
        if (lease === undefined || lease.spec?.holderIdentity !== this.#options.holder) return;
        await this.#write({ ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } }, signal);
      });
    } catch {
      // It expires by itself.
    }
  }

  /** Runs an attempt that has so long, also where its requests do not heed the signal. */
  async #within<T>(ms: number, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const [over, stop] = [new AbortController(), new AbortController()];
    const end = this.#options.sleep(ms, AbortSignal.any([over.signal, this.#end])).then((): never => {
      stop.abort();
      throw new Error(this.#end.aborted ? 'stopped' : `no answer within ${ms / 1000} s`);
    });
    try {
      return await Promise.race([attempt(stop.signal), end]);
    } finally {
      over.abort();
    }
  }

  /** Leads for some time since a renewal was begun, unless there is another. */
  #leadFrom(begun: number): void {
    const { sleep, monotonic, durationMs, log, name } = this.#options;
    const left = begun + shares.leadership * durationMs - monotonic();
    this.#renewed.abort();
    // An answer of long ago, to a process that stood still meanwhile, says nothing about now.
    if (left <= 0) {
      this.#set(false);
      return;
    }
    const renewed = new AbortController();
    this.#renewed = renewed;
    this.#set(true);
    void sleep(left, renewed.signal).then(() => {
      if (renewed.signal.aborted) return;
      log(`the Lease ${name} was not renewed in time`);
      this.#set(false);
    });
  }

  #set(leading: boolean): void {
    if (!leading) this.#renewed.abort();
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#options.changed(leading);
  }

  async #take(signal: AbortSignal): Promise<boolean> {
    const { holder, namespace, name, durationMs, now } = this.#options;
    const lease = await this.#read(signal);
    const time = new Date(now()).toISOString().replace('Z', '000Z');
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 0,
    };
    if (lease === undefined) {
      const created: Lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace },
        spec,
      };
      return this.#write(created, signal);
    }
    const mine = lease.spec?.holderIdentity === holder;
    if (!mine && !this.#isFree(lease)) return false;
    const taken: Lease = {
      ...lease,
      spec: {
        ...spec,
        acquireTime: (mine ? lease.spec?.acquireTime : undefined) ?? time,
        leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1),
      },
    };
    if (await this.#write(taken, signal)) return true;
    // Perhaps an attempt of ours that had been given up: the next one sees whose it is.
    if (mine && this.#leading) throw new Error('somebody else has written it');
    return false;
  }

  /** Free: given back, or unchanged for its duration since we first saw it so. */
  #isFree(lease: Lease): boolean {
    const { monotonic, durationMs } = this.#options;
    if ((lease.spec?.holderIdentity ?? '') === '') return true;
    const version = lease.metadata.resourceVersion ?? '';
    if (this.#seen?.version !== version) this.#seen = { version, at: monotonic() };
    const theirs = (lease.spec?.leaseDurationSeconds ?? durationMs / 1000) * 1000;
    return monotonic() - this.#seen.at >= theirs;
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const path = this.#path(this.#options.name);
    const answer = await this.#options.api.send('GET', path, undefined, undefined, signal);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusal(answer);
    return answer.body as Lease;
  }

  /** Whether it was written; not so where somebody else was faster. */
  async #write(lease: Lease, signal: AbortSignal): Promise<boolean> {
    const exists = lease.metadata.resourceVersion !== undefined;
    const path = this.#path(exists ? this.#options.name : '');
    const answer = await this.#options.api.send(exists ? 'PUT' : 'POST', path, lease, undefined, signal);
    if (answer.status === 409) return false;
    if (answer.status !== 200 && answer.status !== 201) throw refusal(answer);
    return true;
  }

  #path(name: string): string {
    const { namespace } = this.#options;
    const base = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
    return name === '' ? base : `${base}/${encodeURIComponent(name)}`;
  }
}
