// Writes the automatic addresses of ServiceEntries into their status, where other tools look for them (contract 4.11).
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { keyOf } from '../../config/object.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { objectPath } from '../../config/sources/kube-path.ts';
import type { Store } from '../../config/store.ts';
import type { HostAddress } from '../../discovery/model/auto-address.ts';
import { KeyedWork, type KeyedWorkOptions } from './keyed-work.ts';
import { Pace } from './pace.ts';
import { refusal } from './refusal.ts';

/** What writing them needs. Times in milliseconds. */
export interface EntryAddressesOptions extends Pick<KeyedWorkOptions, 'sleep' | 'random'> {
  readonly api: Pick<KubeApi, 'send'>;
  readonly store: Pick<Store, 'get' | 'list' | 'subscribe'>;
  /** What the status of an entry is to say; undefined where it lacks nothing. Of the published state. */
  readonly addressesOf: (entry: ServiceEntry) => readonly HostAddress[] | undefined;
  /** Resolves when what the store said so far is published. */
  readonly published: () => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly count: (outcome: 'written' | 'failed') => void;
  readonly log: (message: string) => void;
}

/** Milliseconds until an address that another entry had a moment ago is looked at again. */
const soonMs = 1_000;

/** Writes them while it leads, until disposed. Addresses that are there, whoever wrote them, stay. */
export class EntryAddresses implements AsyncDisposable {
  readonly #options: EntryAddressesOptions;
  readonly #work: KeyedWork;
  readonly #unsubscribe: () => void;
  /** Addresses that were written and have not come back by the watch: nobody else may be given them meanwhile. */
  readonly #written = new Map<string, readonly string[]>();
  /** Somebody may take them out again and again. */
  readonly #pace: Pace;
  #leading = false;

  constructor(options: EntryAddressesOptions) {
    this.#options = options;
    this.#pace = new Pace(options.now);
    const { store, sleep, random, count, log } = options;
    this.#work = new KeyedWork({
      perform: (key) => this.#write(key),
      ...{ workers: 1, restMs: 20, sleep, random },
      failed: (key, error) => {
        count('failed');
        log(`the addresses of ServiceEntry ${key} cannot be written: ${error.message}`);
      },
    });
    this.#unsubscribe = store.subscribe((changes) => {
      for (const { kind, key } of changes) {
        if (kind !== 'ServiceEntry') continue;
        this.#written.delete(key);
        this.#look(key);
      }
    });
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#work.clear();
    if (leading) for (const { metadata } of this.#options.store.list('ServiceEntry')) this.#look(keyOf(metadata));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lead(false);
    this.#unsubscribe();
    await this.#work[Symbol.asyncDispose]();
  }

  #look(key: string): void {
    if (this.#leading && !this.#written.has(key)) this.#work.add(key);
  }

  /** Gives the milliseconds after which the entry is to be looked at again; undefined: when it changes. */
  async #write(key: string): Promise<number | undefined> {
    const { api, store, addressesOf, published, count } = this.#options;
    await published();
    const entry = store.get('ServiceEntry', key);
    const addresses = entry === undefined ? undefined : addressesOf(entry);
    if (entry === undefined || addresses === undefined || addresses.length === 0 || !this.#leading) return undefined;
    const delay = this.#pace.delayOf(key);
    if (delay > 0) return delay;
    const values = addresses.map(({ value }) => value);
    const taken = new Set([...this.#written.values()].flat());
    if (values.some((value) => taken.has(value))) return soonMs;
    const { namespace, name, resourceVersion } = entry.metadata;
    const version = entry.apiVersion.split('/')[1] ?? '';
    const path = `${objectPath('ServiceEntry', version, namespace, name)}/status`;
    // With the version that the addresses are for: somebody else may be giving addresses at this moment.
    const body = { metadata: { resourceVersion }, status: { addresses } };
    this.#written.set(key, values);
    try {
      const answer = await api.send('PATCH', path, body, 'application/merge-patch+json');
      if (answer.status === 200) {
        count('written');
        this.#pace.wrote(key);
        return undefined;
      }
      this.#written.delete(key);
      // Gone, changed (the watch tells of it), or its definition has no status.
      if (answer.status === 404 || answer.status === 409) return undefined;
      throw refusal(answer);
    } catch (error) {
      this.#written.delete(key);
      throw error;
    }
  }
}
