// Keeps the status of the Ingresses that the mesh serves: where they can be reached. Only a leader writes.
import { isDeepStrictEqual } from 'node:util';
import { type Diagnostic, warningOf } from '../../config/diagnostic.ts';
import type { Ingress, IngressPoint } from '../../config/kinds/ingress.ts';
import type { KindName } from '../../config/kinds/kinds.ts';
import { keyOf } from '../../config/object.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { Store } from '../../config/store.ts';
import { Contest, mostRewrites } from './contest.ts';
import { KeyedWork, type KeyedWorkOptions } from './keyed-work.ts';
import { refusal } from './refusal.ts';

/** What keeping it needs. Times in milliseconds. */
export interface IngressStatusOptions extends Pick<KeyedWorkOptions, 'sleep' | 'random'> {
  readonly api: Pick<KubeApi, 'send'>;
  readonly store: Pick<Store, 'get' | 'list' | 'subscribe' | 'synced'>;
  /** Resolves when `serves` and `points` go by all that the store has told before. */
  readonly settled: () => Promise<void>;
  /** Whether the mesh serves an Ingress in this state. */
  readonly serves: (ingress: Ingress) => boolean;
  /** Where it is then reached. */
  readonly points: () => readonly IngressPoint[];
  /** Milliseconds on a clock of which only differences count. */
  readonly monotonic: () => number;
  /** The findings about an Ingress, by `namespace/name`; replaces what was reported before. */
  readonly report: (key: string, findings: readonly Diagnostic[]) => void;
  readonly log: (message: string) => void;
}

/** Kinds on which it depends what a status is to say. */
const decisive: ReadonlySet<KindName> = new Set<KindName>([
  ...(['Ingress', 'IngressClass', 'Service', 'ConfigMap', 'Namespace', 'Pod', 'Node'] as const),
]);
/** Requests under way at once. */
const workers = 4;

/**
 * The points to be written into an Ingress; undefined leaves it alone. Of an Ingress that is not served only what the
 * mesh itself would say is taken out: another controller's status is none of its business.
 */
export function wantedPoints(
  { status }: Ingress,
  isServed: boolean,
  points: readonly IngressPoint[],
): readonly IngressPoint[] | undefined {
  const says = status?.loadBalancer?.ingress ?? [];
  const isOurs = isDeepStrictEqual(says, points);
  if (isServed) return isOurs ? undefined : points;
  return isOurs && says.length > 0 ? [] : undefined;
}

/** Keeps it until disposed. */
export class IngressStatus implements AsyncDisposable {
  readonly #options: IngressStatusOptions;
  readonly #stop = new AbortController();
  readonly #work: KeyedWork;
  readonly #contest: Contest;
  readonly #contested = new Set<string>();
  readonly #unsubscribe: () => void;
  #leading = false;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  /** Ingresses that changed since the last look. */
  #changed = new Set<string>();
  /** Where the mesh was reached by the last look. */
  #points: readonly IngressPoint[] = [];

  constructor(options: IngressStatusOptions) {
    this.#options = options;
    this.#contest = new Contest(options.monotonic);
    const { sleep, random, log } = options;
    this.#work = new KeyedWork({
      perform: (key) => this.#settle(key),
      ...{ workers, restMs: 0, sleep, random },
      failed: (key, { message }) => log(`status of Ingress ${key}: ${message}`),
    });
    this.#unsubscribe = options.store.subscribe((changes) => {
      for (const { kind, key } of changes) if (kind === 'Ingress' && this.#leading) this.#changed.add(key);
      if (changes.some(({ kind }) => decisive.has(kind))) this.#lookSoon();
    });
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#work.clear();
    this.#changed.clear();
    if (leading) this.#lookSoon();
    else for (const key of this.#contested) this.#tell(key, false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#unsubscribe();
    await Promise.all([this.#looking, this.#work[Symbol.asyncDispose]()]);
  }

  /** Changes that come while the last ones are being published are looked at together, afterwards. */
  #lookSoon(): void {
    this.#lookAgain = true;
    if (!this.#leading || this.#looking !== undefined) return;
    this.#looking = this.#look()
      .catch((error: unknown) =>
        this.#options.log(`status of Ingresses: ${error instanceof Error ? error.message : error}`),
      )
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    while (this.#lookAgain && !this.#stop.signal.aborted) {
      this.#lookAgain = false;
      await this.#options.settled();
      const changed = this.#changed;
      this.#changed = new Set();
      const points = this.#options.points();
      const isElsewhere = !isDeepStrictEqual(points, this.#points);
      this.#points = points;
      const keys = this.#options.store.list('Ingress').map(({ metadata }) => keyOf(metadata));
      for (const key of new Set([...keys, ...this.#contested])) {
        const wanted = this.#wanted(key);
        this.#tell(key, this.#lostMs(key, wanted) > 0);
        if (wanted === undefined) continue;
        // Where there is no news of it, one that was refused a moment ago waits for its turn.
        if (isElsewhere || changed.has(key)) this.#work.add(key);
        else this.#work.remind(key);
      }
    }
  }

  #wanted(key: string): readonly IngressPoint[] | undefined {
    const { store, serves, points } = this.#options;
    const ingress = this.#leading && store.synced ? store.get('Ingress', key) : undefined;
    return ingress === undefined ? undefined : wantedPoints(ingress, serves(ingress), points());
  }

  /** Milliseconds for which it stays as another writer wants it; 0: not at all. */
  #lostMs(key: string, wanted: readonly IngressPoint[] | undefined): number {
    return wanted === undefined ? 0 : this.#contest.lostMs(this.#idOf(key), JSON.stringify(wanted));
  }

  /** An Ingress that is made anew is another one. */
  #idOf(key: string): string {
    return `${key} ${this.#options.store.get('Ingress', key)?.metadata.uid ?? ''}`;
  }

  #tell(key: string, isLost: boolean): void {
    if (isLost === this.#contested.has(key)) return;
    if (isLost) this.#contested.add(key);
    else this.#contested.delete(key);
    const [namespace = '', name = ''] = key.split('/');
    const message = `another writer changed its status back ${mostRewrites} times; it is left as that one wants it`;
    const help = 'give the Ingress a class that one controller alone serves, or end the other one';
    const object = { kind: 'Ingress', namespace, name };
    this.#options.report(key, isLost ? [warningOf('contested-object', message, { object, help })] : []);
  }

  /** Gives the milliseconds after which another writer has had its way for long enough. */
  async #settle(key: string): Promise<number | undefined> {
    const wanted = this.#wanted(key);
    const lostMs = this.#lostMs(key, wanted);
    this.#tell(key, lostMs > 0);
    if (wanted === undefined || lostMs > 0) return lostMs || undefined;
    await this.#write(key, wanted);
    return undefined;
  }

  /** What is written comes back by the watch, and is looked at again then. */
  async #write(key: string, points: readonly IngressPoint[]): Promise<void> {
    const { api, store } = this.#options;
    const [namespace = '', name = ''] = key.split('/').map(encodeURIComponent);
    // The version makes sure that nobody else's change is undone.
    const { resourceVersion } = store.get('Ingress', key)?.metadata ?? {};
    const patch = {
      metadata: { resourceVersion },
      status: { loadBalancer: { ingress: points.length === 0 ? null : points } },
    };
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses/${name}/status`;
    const answer = await api.send('PATCH', path, patch, 'application/merge-patch+json');
    // Gone, or changed meanwhile: the watch will tell.
    if (![200, 404, 409].includes(answer.status)) throw refusal(answer);
    if (answer.status === 200) this.#contest.wrote(this.#idOf(key), JSON.stringify(points));
  }
}
