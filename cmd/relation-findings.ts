// Findings about objects among the others, for status and log: looked for again when one of the others changes.
import { isDeepStrictEqual } from 'node:util';
import type { Diagnostic } from '../config/diagnostic.ts';
import { type AnyObject, isKindName, type KindName } from '../config/kinds/kinds.ts';
import { formatRef, keyOf, parseRef, refOf } from '../config/object.ts';
import { isNear, relate, relatedKinds, relatingKinds } from '../config/relations/relations.ts';
import type { Surroundings } from '../config/relations/view.ts';
import type { SourceSink } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';
import { GatheredLook, type Pause } from './gathered-look.ts';

/** What finding them needs. */
export interface RelationFindingsOptions {
  readonly store: Pick<Store, 'get' | 'list' | 'originOf' | 'synced' | 'subscribe' | 'onStatus'>;
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
  /** Whether the mesh takes notice of the objects of a kind in a namespace. */
  readonly isCounted: (kind: KindName, namespace: string) => boolean;
  /** Key of the ConfigMap that holds the mesh's settings. */
  readonly meshConfigMap: string;
  /** Resolves when the graph holds what the store holds. */
  readonly published: () => Promise<void>;
  /** Told what is found of one object, by `Kind namespace/name`. */
  readonly report: SourceSink['report'];
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Changes within these milliseconds are looked at together; those of pods, which only Gateways refer to, come more often. */
const gatherMs = 500;
const gatherLongMs = 10_000;

/** Reports from when the store holds everything until it is disposed: an object that is yet to be read is not missing. */
export class RelationFindings implements AsyncDisposable {
  readonly #options: RelationFindingsOptions;
  readonly #look: GatheredLook;
  readonly #unsubscribe: readonly (() => void)[];
  /** Kinds of which all objects are to be looked at, and single objects by `Kind namespace/name`. */
  readonly #dueKinds = new Set<KindName>();
  readonly #due = new Set<string>();
  /** Namespaces in which objects of a kind changed that others of the kind are judged among. */
  readonly #dueNear = new Map<KindName, Set<string>>();
  readonly #told = new Map<string, readonly Diagnostic[]>();
  #began = false;

  constructor(options: RelationFindingsOptions) {
    this.#options = options;
    const { store, sleep } = options;
    this.#look = new GatheredLook({ look: (pause) => this.#lookNow(pause), ready: options.published, sleep });
    this.#unsubscribe = [
      store.subscribe((changes) => {
        for (const { kind, key } of changes) this.#changed(kind, key);
      }),
      store.onStatus(() => this.#begin()),
    ];
    this.#begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#look[Symbol.asyncDispose]();
  }

  #begin(): void {
    if (this.#began || !this.#options.store.synced) return;
    this.#began = true;
    this.#lookAtAll();
  }

  #changed(kind: KindName, key: string): void {
    if (!this.#began || (kind === 'ConfigMap' && key !== this.#options.meshConfigMap)) return;
    // Other namespaces may count now.
    if (kind === 'Namespace' || kind === 'ConfigMap') this.#lookAtAll();
    const concerned = relatedKinds(kind);
    for (const one of concerned) {
      if (one === kind)
        this.#dueNear.set(kind, (this.#dueNear.get(kind) ?? new Set()).add(key.slice(0, key.indexOf('/'))));
      else this.#dueKinds.add(one);
    }
    if (concerned.length > 0) this.#look.soon(kind === 'Pod' ? gatherLongMs : gatherMs);
    if (relatingKinds.includes(kind)) {
      this.#due.add(`${kind} ${key}`);
      this.#look.soon(gatherMs);
    }
  }

  #lookAtAll(): void {
    for (const kind of relatingKinds) this.#dueKinds.add(kind);
    for (const ref of this.#told.keys()) this.#due.add(ref);
    this.#look.soon(gatherMs);
  }

  async #lookNow(pause: Pause): Promise<void> {
    const { store, surroundings } = this.#options;
    const around = surroundings();
    const due = new Set(this.#due);
    for (const kind of this.#dueKinds) for (const object of store.list(kind)) due.add(formatRef(refOf(object)));
    for (const [kind, namespaces] of this.#dueNear) {
      for (const object of store.list(kind)) {
        if ([...namespaces].some((namespace) => isNear(object as AnyObject, namespace)))
          due.add(formatRef(refOf(object)));
      }
    }
    this.#due.clear();
    this.#dueKinds.clear();
    this.#dueNear.clear();
    for (const ref of due) {
      this.#tell(ref, this.#findingsOf(ref, around));
      await pause();
    }
  }

  #findingsOf(ref: string, around: Surroundings): readonly Diagnostic[] {
    const { store, isCounted } = this.#options;
    const { kind, ...meta } = parseRef(ref) ?? { kind: '', namespace: '', name: '' };
    const object = isKindName(kind) ? (store.get(kind, keyOf(meta)) as AnyObject | undefined) : undefined;
    if (object === undefined || !isCounted(object.kind, meta.namespace)) return [];
    const position = store.originOf(kind, keyOf(meta));
    const findings = relate(object, around);
    return position === undefined ? findings : findings.map((finding) => ({ ...finding, position }));
  }

  #tell(ref: string, findings: readonly Diagnostic[]): void {
    if (isDeepStrictEqual(this.#told.get(ref) ?? [], findings)) return;
    if (findings.length === 0) this.#told.delete(ref);
    else this.#told.set(ref, findings);
    this.#options.report(ref, findings);
  }
}
