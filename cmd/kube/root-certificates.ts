// Keeps a ConfigMap with the roots (istio-ca-root-cert) in every namespace, so that pods know whom to trust (contract 1.2).
import { type Diagnostic, warningOf } from '../../config/diagnostic.ts';
import type { ConfigMap } from '../../config/kinds/config-map.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { Store } from '../../config/store.ts';
import { Contest, mostRewrites } from './contest.ts';
import { KeyQueue } from './key-queue.ts';
import { refusal } from './refusal.ts';

/** What keeping them needs. Times in milliseconds. */
export interface RootCertificatesOptions {
  readonly api: Pick<KubeApi, 'send'>;
  /** Follows namespaces and ConfigMaps. */
  readonly store: Pick<Store, 'get' | 'list' | 'subscribe' | 'synced' | 'onStatus'>;
  /** The ConfigMap's name. */
  readonly name: string;
  /** PEM roots in force; empty: there are none, and nothing is done. */
  readonly roots: () => string;
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

/** The name of the ConfigMap unless an operator names another. */
export const rootConfigMap = 'istio-ca-root-cert';
const rootKey = 'root-cert.pem';
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

/** Whether a namespace is to have the roots: not Kubernetes' own, and not one that is ending. */
export function wantsRoots(namespace: string, phase: string | undefined): boolean {
  return !ownNamespaces.has(namespace) && phase !== 'Terminating';
}

/** Whether the ConfigMap says what it should. */
export function isCurrent(found: ConfigMap | undefined, roots: string): boolean {
  return found?.data?.[rootKey] === roots && found.metadata.labels?.[markLabel] === 'true';
}

/** Keeps them until disposed; only a leader changes what is there. */
export class RootCertificates implements AsyncDisposable {
  readonly #options: RootCertificatesOptions;
  /** Namespaces to be looked after. */
  readonly #queue = new KeyQueue({ workers, settle: (namespace, signal) => this.#settle(namespace, signal) });
  readonly #contest: Contest;
  readonly #contested = new Set<string>();
  readonly #unsubscribe: readonly (() => void)[];
  #leading = false;

  constructor(options: RootCertificatesOptions) {
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

  /** Looks at every namespace: after other roots came into force, or other namespaces count. */
  lookAtAll(): void {
    for (const { metadata } of this.#options.store.list('Namespace')) this.#look(metadata.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#queue[Symbol.asyncDispose]();
  }

  #look(namespace: string): void {
    this.#tell(namespace);
    if (this.#needs(namespace)) this.#queue.add(namespace);
  }

  #tell(namespace: string): void {
    const { store, name, roots, report } = this.#options;
    const found = store.get('ConfigMap', `${namespace}/${name}`);
    const isLost = found !== undefined && !isCurrent(found, roots()) && this.#contest.isLost(namespace, roots());
    if (isLost === this.#contested.has(namespace)) return;
    if (isLost) this.#contested.add(namespace);
    else this.#contested.delete(namespace);
    const object = { kind: 'ConfigMap', namespace, name };
    const message = `another writer changed it back ${mostRewrites} times; it is left with other roots than ours`;
    const help = 'give both control planes one CA, or end the other one';
    report(namespace, isLost ? [warningOf('contested-object', message, { object, help })] : []);
  }

  /** Before everything was read, a ConfigMap that seems missing may well be there. */
  #needs(namespace: string): boolean {
    const { store, name, roots, isDiscovered } = this.#options;
    const object = store.synced && roots() !== '' ? store.get('Namespace', `/${namespace}`) : undefined;
    if (object === undefined || !wantsRoots(namespace, object.status?.phase) || !isDiscovered(namespace)) return false;
    const found = store.get('ConfigMap', `${namespace}/${name}`);
    if (found === undefined) return true;
    return this.#leading && !isCurrent(found, roots()) && !this.#contest.isLost(namespace, roots());
  }

  async #settle(namespace: string, signal: AbortSignal): Promise<void> {
    const { sleep, log, name } = this.#options;
    if (!this.#leading) await sleep(patienceMs, signal);
    for (let failures = 0; !signal.aborted && this.#needs(namespace); failures++) {
      try {
        if (await this.#write(namespace)) return;
      } catch (error) {
        log(`${name} in ${namespace}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(Math.min(100 * 2 ** failures, 10_000), signal);
    }
  }

  /** Whether that is all for now: what is written comes back by the watch, and is looked at again then. */
  async #write(namespace: string): Promise<boolean> {
    const { api, store, name, roots } = this.#options;
    const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
    const wanted = { metadata: { labels: { [markLabel]: 'true' } }, data: { [rootKey]: roots() } };
    const there = store.get('ConfigMap', `${namespace}/${name}`) !== undefined;
    if (there) this.#contest.wrote(namespace, roots());
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
