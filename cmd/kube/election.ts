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
  /** How long a leader that is not heard of stays one; it renews at half of that. */
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

/** Stands for election until the signal aborts, then gives the Lease back. Never rejects. */
export async function standForElection(options: ElectionOptions, signal: AbortSignal): Promise<void> {
  const candidate = new Candidate(options);
  while (!signal.aborted) {
    const leads = await candidate.round();
    await options.sleep(leads ? options.durationMs / 2 : options.durationMs / 4, signal);
  }
  await candidate.release();
}

class Candidate {
  readonly #options: ElectionOptions;
  #leading = false;
  /** When our last renewal was begun. */
  #renewedAt = 0;
  /** Another's Lease as we saw it last, and when it last changed by our clock. */
  #seen: { readonly version: string; readonly at: number } | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  /** One attempt to get or keep the Lease; whether it is ours. A leader tries again soon where that fails. */
  async round(): Promise<boolean> {
    const { monotonic, durationMs, log, name } = this.#options;
    const begun = monotonic();
    try {
      const held = await this.#take();
      if (held) this.#renewedAt = begun;
      this.#set(held);
      return held;
    } catch (error) {
      log(`the Lease ${name} cannot be renewed: ${error instanceof Error ? error.message : String(error)}`);
      // Others may take it when it has expired; a leader that cannot renew steps down before that.
      if (this.#leading && monotonic() - this.#renewedAt > durationMs * 0.65) this.#set(false);
      return false;
    }
  }

  async release(): Promise<void> {
    if (!this.#leading) return;
    this.#set(false);
    try {
      const lease = await this.#read();
      if (lease === undefined || lease.spec?.holderIdentity !== this.#options.holder) return;
      await this.#write({ ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } });
    } catch {
      // It expires by itself.
    }
  }

  #set(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#options.changed(leading);
  }

  async #take(): Promise<boolean> {
    const { holder, namespace, name, durationMs, now } = this.#options;
    const lease = await this.#read();
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
      return this.#write(created);
    }
    const mine = lease.spec?.holderIdentity === holder;
    if (!mine && !this.#isFree(lease)) return false;
    return this.#write({
      ...lease,
      spec: {
        ...spec,
        acquireTime: (mine ? lease.spec?.acquireTime : undefined) ?? time,
        leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1),
      },
    });
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

  async #read(): Promise<Lease | undefined> {
    const answer = await this.#options.api.send('GET', this.#path(this.#options.name));
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw refusal(answer);
    return answer.body as Lease;
  }

  /** Whether it was written; not so where somebody else was faster. */
  async #write(lease: Lease): Promise<boolean> {
    const exists = lease.metadata.resourceVersion !== undefined;
    const path = this.#path(exists ? this.#options.name : '');
    const answer = await this.#options.api.send(exists ? 'PUT' : 'POST', path, lease);
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
