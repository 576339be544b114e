// Work that one replica at a time may do: who holds the Lease does it, and hears when that ends.
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { Logger } from '../log.ts';
import { rest } from '../rest.ts';
import { standForElection } from './election.ts';

/** Whose work it is, and by which Lease replicas agree on it. */
export interface LeadingOptions {
  readonly api: Pick<KubeApi, 'send'>;
  /** Where the Lease lies: the control plane's namespace. */
  readonly namespace: string;
  /** Name of the Lease (names.ts). */
  readonly lease: string;
  /** Name of this replica. */
  readonly holder: string;
  /** Milliseconds for which a leader that is not heard of stays one. */
  readonly leaseMs: number;
  /** Without an election (ENABLE_LEADER_ELECTION=false) this replica leads at once, and no Lease is touched. */
  readonly elect: boolean;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** Calls `changed` whenever this replica begins or ceases to lead, until disposed: whoever is told `false` stops writing. */
export function whileLeading(options: LeadingOptions, changed: (leading: boolean) => void): AsyncDisposable {
  const { api, namespace, lease, holder, leaseMs, elect, log } = options;
  const tell = (leading: boolean): void => {
    log.info({ leading }, `leader election: ${lease}`);
    changed(leading);
  };
  if (!elect) {
    tell(true);
    return { [Symbol.asyncDispose]: async () => tell(false) };
  }
  const stop = new AbortController();
  const election = standForElection(
    {
      ...{ api, namespace, name: lease, holder, durationMs: leaseMs, sleep: rest, changed: tell },
      monotonic: () => performance.now(),
      now: Date.now,
      log: (message) => log.warn(message),
    },
    stop.signal,
  );
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await election;
    },
  };
}

/** Ends the writer before its candidacy: nothing is written any more when the Lease is given back. */
export function endingInTurn(writer: AsyncDisposable, candidacy: AsyncDisposable): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await writer[Symbol.asyncDispose]();
      await candidacy[Symbol.asyncDispose]();
    },
  };
}

/** Ends all of them at the same time: none waits for what another has asked of the API server. */
export function endingTogether(...all: readonly (AsyncDisposable | undefined)[]): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((one) => one?.[Symbol.asyncDispose]()));
    },
  };
}
