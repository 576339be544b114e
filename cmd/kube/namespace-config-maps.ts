// Keeps a ConfigMap with one text in every namespace: the roots, so that pods know whom to trust, or revocation lists (contract 1.2).
import { type Diagnostic, warningOf } from '../../config/diagnostic.ts';
import type { ConfigMap } from '../../config/kinds/config-map.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { Store } from '../../config/store.ts';
import { Contest, mostRewrites } from './contest.ts';
import { KeyQueue } from './key-queue.ts';
import { refusal } from './refusal.ts';

/** What keeping them needs. Times in milliseconds. */
export interface NamespaceConfigMapsOptions {
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
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
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
  /** Namespaces to be looked after. */
  readonly #queue = new KeyQueue({ workers, settle: (namespace, signal) => this.#settle(namespace, signal) });
  readonly #contest: Contest;
  readonly #contested = new Set<string>();
  readonly #unsubscribe: readonly (() => void)[];
  #leading = false;

  constructor(options: NamespaceConfigMapsOptions) {
    this.#options = options;
    this.#contest = new Contest(options.monotonic);
    const { store } = options;
    this.#unsubscribe = [
      store.subscribe((changes) => {
        for (const { kind, key } of changes) {
          if (kind === 'Namespace') this.#look(key.slice(1));
          else if (kind === 'ConfigMap' && key.endsWith(`/${options.name}`)) this.#look(key.split('/')[0] ?? '');
        }
      }),
      store.onStatus(() => this.lookAtAll()),
    ];
    this.lookAtAll();
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.lookAtAll();
  }

  /** Looks at every namespace: after another text came into force, or other namespaces count. */
  lookAtAll(): void {
    for (const { metadata } of this.#options.store.list('Namespace')) this.#look(metadata.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#queue[Symbol.asyncDispose]();
  }

  #look(namespace: string): void {
    this.#tell(namespace);
    if (this.#wanted(namespace) !== undefined) this.#queue.add(namespace);
  }

  #tell(namespace: string): void {
    const { store, name, text, report } = this.#options;
    const found = store.get('ConfigMap', `${namespace}/${name}`);
    const wanted = text();
    const isLost =
      found !== undefined &&
      wanted !== undefined &&
      !this.#isCurrent(found, wanted) &&
      this.#contest.isLost(namespace, wanted);
    if (isLost === this.#contested.has(namespace)) return;
    if (isLost) this.#contested.add(namespace);
    else this.#contested.delete(namespace);
    const object = { kind: 'ConfigMap', namespace, name };
    const message = `another writer changed it back ${mostRewrites} times; it is left as that one wants it`;
    const help = 'give both control planes one CA, or end the other one';
    report(namespace, isLost ? [warningOf('contested-object', message, { object, help })] : []);
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
    const isDue = this.#leading && !this.#isCurrent(found, wanted) && !this.#contest.isLost(namespace, wanted);
    return isDue ? wanted : undefined;
  }

  async #settle(namespace: string, signal: AbortSignal): Promise<void> {
    const { sleep, log, name } = this.#options;
    if (!this.#leading) await sleep(patienceMs, signal);
    for (let failures = 0; !signal.aborted; failures++) {
      const wanted = this.#wanted(namespace);
      if (wanted === undefined) return;
      try {
        if (await this.#write(namespace, wanted)) return;
      } catch (error) {
        log(`${name} in ${namespace}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(Math.min(100 * 2 ** failures, 10_000), signal);
    }
  }

  /** Whether that is all for now: what is written comes back by the watch, and is looked at again then. */
  async #write(namespace: string, text: string): Promise<boolean> {
    const { api, store, name, key } = this.#options;
    const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
    const wanted = { metadata: { labels: { [markLabel]: 'true' } }, data: { [key]: text } };
    const there = store.get('ConfigMap', `${namespace}/${name}`) !== undefined;
    if (there) this.#contest.wrote(namespace, text);
    const answer = there
      ? await api.send('PATCH', `${folder}/${name}`, wanted, 'application/merge-patch+json')
      : await api.send('POST', folder, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          ...wanted,
          metadata: { ...wanted.metadata, name, namespace },
        });
    // Somebody was faster: the watch will tell of it. A namespace that ends takes no new objects.
    if ([200, 201, 404, 409].includes(answer.status)) return true;
    const { message = '', reason } = (answer.body ?? {}) as { readonly message?: string; readonly reason?: string };
    if (answer.status === 403 && reason === 'Forbidden' && message.includes('being terminated')) return true;
    throw refusal(answer);
  }
}
