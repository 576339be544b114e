// Keeps a ConfigMap with one text in every namespace: the roots, so that pods know whom to trust, or revocation lists (contract 1.2).
import { type Diagnostic, warningOf } from '../../config/diagnostic.ts';
import type { ConfigMap } from '../../config/kinds/config-map.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { Store } from '../../config/store.ts';
import { Contest, mostRewrites } from './contest.ts';
import { KeyedWork, type KeyedWorkOptions } from './keyed-work.ts';
import { refusal } from './refusal.ts';

/** What keeping them needs. Times in milliseconds. */
export interface NamespaceConfigMapsOptions extends Pick<KeyedWorkOptions, 'sleep' | 'random'> {
  readonly api: Pick<KubeApi, 'send'>;
  /** Follows namespaces and ConfigMaps. */
  readonly store: Pick<Store, 'get' | 'list' | 'subscribe' | 'synced' | 'onStatus'>;
  /** The ConfigMap's name. */
  readonly name: string;
  /** The key of its text. */
  readonly key: keyof NonNullable<ConfigMap['data']>;
  /** The text; empty: there is none, and what says something else is emptied. Undefined: all is left as it is. */
  readonly text: () => string | undefined;
  /**
   * Whether the mesh takes notice of a namespace (discoverySelectors). In one that it no longer takes notice of, what is
   * there stays, as istiod leaves it: another control plane may be the one that keeps it now.
   */
  readonly isDiscovered: (namespace: string) => boolean;
  /** Milliseconds on a clock of which only differences count. */
  readonly monotonic: () => number;
  /** The findings about a namespace's ConfigMap; replaces what was reported before. */
  readonly report: (namespace: string, findings: readonly Diagnostic[]) => void;
  readonly log: (message: string) => void;
}

/** The names of the ConfigMaps unless an operator names others. */
export const rootConfigMap = 'istio-ca-root-cert';
export const crlConfigMap = 'istio-ca-crl';
const markLabel = 'istio.io/config';
const ownNamespaces: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
]);
/** Requests under way at once. */
const workers = 8;
/** A replica that does not lead fills in what the leader left out for so long; it overwrites nothing. */
const patienceMs = 3_000;

/** Whether a namespace is to have it: not Kubernetes' own, and not one that is ending. */
export function isServed(namespace: string, phase: string | undefined): boolean {
  return !ownNamespaces.has(namespace) && phase !== 'Terminating';
}

/** Keeps them until disposed; only a leader changes what is there. */
export class NamespaceConfigMaps implements AsyncDisposable {
  readonly #options: NamespaceConfigMapsOptions;
  /** By namespace. */
  readonly #work: KeyedWork;
  readonly #contest: Contest;
  readonly #contested = new Set<string>();
  readonly #unsubscribe: readonly (() => void)[];
  #leading = false;
  /** The text by which all were looked at last. */
  #text: string | undefined;

  constructor(options: NamespaceConfigMapsOptions) {
    this.#options = options;
    this.#contest = new Contest(options.monotonic);
    const { store, name, sleep, random, log } = options;
    this.#work = new KeyedWork({
      perform: (namespace) => this.#settle(namespace),
      ...{ workers, restMs: 0, sleep, random },
      failed: (namespace, { message }) => log(`${name} in ${namespace}: ${message}`),
    });
    this.#unsubscribe = [
      store.subscribe((changes) => {
        for (const { kind, key } of changes) {
          if (kind === 'Namespace') this.#look(key.slice(1), true);
          else if (kind === 'ConfigMap' && key.endsWith(`/${name}`)) this.#look(key.split('/')[0] ?? '', true);
        }
      }),
      store.onStatus(() => this.lookAtAll()),
    ];
    this.lookAtAll();
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#work.clear();
    this.lookAtAll();
  }

  /** Looks at every namespace: after another text came into force, or other namespaces count. */
  lookAtAll(): void {
    const text = this.#options.text();
    const isNews = text !== this.#text;
    this.#text = text;
    for (const { metadata } of this.#options.store.list('Namespace')) this.#look(metadata.name, isNews);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#work[Symbol.asyncDispose]();
  }

  /** Where there is no news of it, one that was refused a moment ago waits for its turn. */
  #look(namespace: string, isNews: boolean): void {
    this.#tell(namespace);
    if (this.#wanted(namespace) === undefined) return;
    if (!this.#leading) this.#work.remind(namespace, patienceMs);
    else if (isNews) this.#work.add(namespace);
    else this.#work.remind(namespace);
  }

  #tell(namespace: string): void {
    const { name, report } = this.#options;
    const isLost = this.#lostMs(namespace) > 0;
    if (isLost === this.#contested.has(namespace)) return;
    if (isLost) this.#contested.add(namespace);
    else this.#contested.delete(namespace);
    const object = { kind: 'ConfigMap', namespace, name };
    const message = `another writer changed it back ${mostRewrites} times; it is left as that one wants it`;
    const help = 'give both control planes one CA, or end the other one';
    report(namespace, isLost ? [warningOf('contested-object', message, { object, help })] : []);
  }

  /** Milliseconds for which what is there stays as another writer wants it; 0: not at all. */
  #lostMs(namespace: string): number {
    const { store, name } = this.#options;
    const wanted = this.#wanted(namespace);
    const isThere = store.get('ConfigMap', `${namespace}/${name}`) !== undefined;
    return wanted === undefined || !isThere ? 0 : this.#contest.lostMs(namespace, wanted);
  }

  #isCurrent(found: ConfigMap, wanted: string): boolean {
    const said = found.data?.[this.#options.key] ?? '';
    return said === wanted && (wanted === '' || found.metadata.labels?.[markLabel] === 'true');
  }

  /** What a namespace's ConfigMap is to say; undefined where it says so, or is none of ours. */
  #wanted(namespace: string): string | undefined {
    const { store, name, text, isDiscovered } = this.#options;
    const wanted = text();
    // Before everything was read, a ConfigMap that seems missing may well be there.
    const object = store.synced ? store.get('Namespace', `/${namespace}`) : undefined;
    if (wanted === undefined || object === undefined) return undefined;
    if (!isServed(namespace, object.status?.phase) || !isDiscovered(namespace)) return undefined;
    const found = store.get('ConfigMap', `${namespace}/${name}`);
    if (found === undefined) return wanted === '' ? undefined : wanted;
    return this.#leading && !this.#isCurrent(found, wanted) ? wanted : undefined;
  }

  /** Gives the milliseconds after which another writer has had its way for long enough. */
  async #settle(namespace: string): Promise<number | undefined> {
    this.#tell(namespace);
    const wanted = this.#wanted(namespace);
    const lostMs = this.#lostMs(namespace);
    if (wanted === undefined || lostMs > 0) return lostMs || undefined;
    await this.#write(namespace, wanted);
    return undefined;
  }

  /** Rejects where that is not all for now: what is written comes back by the watch, and is looked at again then. */
  async #write(namespace: string, text: string): Promise<void> {
    const { api, store, name, key } = this.#options;
    const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
    const labels = { [markLabel]: 'true' };
    const data = { [key]: text };
    const there = store.get('ConfigMap', `${namespace}/${name}`)?.metadata;
    // The version makes sure that what we wrote a moment ago is not taken for another's doing while the watch is behind.
    const answer = await (there === undefined
      ? api.send('POST', folder, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data })
      : api.send(
          'PATCH',
          `${folder}/${name}`,
          { metadata: { labels, resourceVersion: there.resourceVersion }, data },
          'application/merge-patch+json',
        ));
    // Only what was written can have been undone.
    if (there !== undefined && answer.status === 200) this.#contest.wrote(namespace, text);
    // Somebody was faster: the watch will tell of it. A namespace that ends takes no new objects.
    if ([200, 201, 404, 409].includes(answer.status)) return;
    const { message = '', reason } = (answer.body ?? {}) as { readonly message?: string; readonly reason?: string };
    if (answer.status === 403 && reason === 'Forbidden' && message.includes('being terminated')) return;
    throw refusal(answer);
  }
}
