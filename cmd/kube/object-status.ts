// Has the status of mesh objects say what is found of them: looks at those of which that changed, writes what differs.
import { type Diagnostic, hasErrors } from '../../config/diagnostic.ts';
import { type AnyObject, isKindName, type KindName, kindNames, kinds } from '../../config/kinds/kinds.ts';
import { formatRef, keyOf, parseRef, refOf } from '../../config/object.ts';
import type { Surroundings } from '../../config/relations/view.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { CheckObject, ObjectChange } from '../../config/sources/source.ts';
import type { Store } from '../../config/store.ts';
import { GatheredLook, type Pause } from '../gathered-look.ts';
import { KeyedWork, type KeyedWorkOptions } from './keyed-work.ts';
import { type Judgement, statusPatch } from './status-patch.ts';
import { createStatusWriter } from './status-writer.ts';

/** What writing them needs. Times in milliseconds. */
export interface ObjectStatusOptions extends Pick<KeyedWorkOptions, 'sleep' | 'random'> {
  readonly api: Pick<KubeApi, 'send'>;
  readonly store: Pick<Store, 'get' | 'list' | 'findings' | 'subscribe' | 'onFindings'>;
  /** The check that the store's source does. */
  readonly check: CheckObject;
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
  /** Sentences about what proxies of any replica reject, by `Kind namespace/name`. */
  readonly rejections: () => ReadonlyMap<string, string>;
  /** Whether the mesh takes notice of the objects of a kind in a namespace. */
  readonly isCounted: (kind: KindName, namespace: string) => boolean;
  /** Key of the ConfigMap that holds the mesh's settings. */
  readonly meshConfigMap: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly count: (outcome: 'written' | 'failed') => void;
  readonly log: (message: string) => void;
}

/** Changes within this time are looked at together. */
const gatherMs = 500;
/** Proxies' rejections are looked at so often: they come and go without any object's doing. */
const rejectionsMs = 2_000;
/** A new leader does not take back what another saw rejected before the proxies had time to come to it. */
const patienceMs = 60_000;

const meshKinds = kindNames.filter((kind) => !kinds[kind].builtin);

/** Writes statuses while it leads, until disposed. Objects of which nothing is found, and nothing was, are not touched. */
export class ObjectStatus implements AsyncDisposable {
  readonly #options: ObjectStatusOptions;
  readonly #look: GatheredLook;
  readonly #work: KeyedWork;
  readonly #unsubscribe: readonly (() => void)[];
  /** Whether all objects are to be looked at, and single ones by `Kind namespace/name`. */
  #all = false;
  readonly #due = new Set<string>();
  #rejections: ReadonlyMap<string, string> = new Map();
  /** Objects of which this replica saw a rejection while it leads. */
  readonly #seenRejected = new Set<string>();
  /** Made anew for each look, and kept for the writes that follow from it. */
  #around: Surroundings;
  /** Since when this replica leads. */
  #since: number | undefined;
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: ObjectStatusOptions) {
    this.#options = options;
    const { api, store, check, sleep, random, now, log, count } = options;
    this.#around = options.surroundings();
    this.#look = new GatheredLook({ look: (pause) => this.#lookNow(pause), sleep });
    const writer = createStatusWriter({
      ...{ api, store, check, now },
      surroundings: () => this.#around,
      rejectionOf: (ref) => this.#rejectionOf(ref),
      written: () => count('written'),
    });
    this.#work = new KeyedWork({
      perform: writer.write,
      ...{ workers: 4, restMs: 50, sleep, random },
      failed: (ref, error) => {
        count('failed');
        log(`the status of ${ref} cannot be written: ${error.message}`);
      },
    });
    this.#unsubscribe = [
      store.subscribe((changes) => {
        for (const change of changes) this.#changed(change);
      }),
      store.onFindings(({ before, after }) => {
        for (const ref of byObject([...before, ...after]).keys()) this.#lookAt(ref);
      }),
    ];
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#since = leading ? this.#options.now() : undefined;
    this.#work.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#look.cancel();
    this.#timers = [];
    this.#rejections = new Map();
    this.#seenRejected.clear();
    if (!leading) return;
    this.#lookAtRejections();
    this.#timers = [
      setInterval(() => this.#lookAtRejections(), rejectionsMs),
      setTimeout(() => this.#lookAtAll(), patienceMs),
    ];
    this.#lookAtAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lead(false);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#look[Symbol.asyncDispose]();
    await this.#work[Symbol.asyncDispose]();
  }

  #changed({ kind, key, elsewhere }: ObjectChange): void {
    if (this.#since === undefined) return;
    // What we said of an object that is now another revision's only the API server knows.
    if (elsewhere) this.#work.add(`${kind} ${key}`);
    else if (!kinds[kind].builtin) this.#lookAt(`${kind} ${key}`);
    // Other namespaces may count now.
    if (kind === 'Namespace' || (kind === 'ConfigMap' && key === this.#options.meshConfigMap)) this.#lookAtAll();
  }

  #lookAt(ref: string): void {
    if (this.#since === undefined) return;
    this.#due.add(ref);
    this.#look.soon(gatherMs);
  }

  #lookAtAll(): void {
    if (this.#since === undefined) return;
    this.#all = true;
    this.#look.soon(gatherMs);
  }

  #lookAtRejections(): void {
    const before = this.#rejections;
    this.#rejections = this.#options.rejections();
    for (const ref of new Set([...before.keys(), ...this.#rejections.keys()])) {
      this.#seenRejected.add(ref);
      if (before.get(ref) !== this.#rejections.get(ref)) this.#lookAt(ref);
    }
  }

  #rejectionOf(ref: string): Judgement['rejection'] {
    const isNew = this.#since === undefined || this.#options.now() - this.#since < patienceMs;
    const known = !isNew || this.#seenRejected.has(ref);
    return this.#rejections.get(ref) ?? (known ? undefined : 'unknown');
  }

  /** Looks at all that is due, and has written what differs. */
  async #lookNow(pause: Pause): Promise<void> {
    const { store, surroundings } = this.#options;
    const since = this.#since;
    this.#around = surroundings();
    const found = byObject(store.findings());
    const all = this.#all
      ? meshKinds.flatMap((kind) => store.list(kind).map((object) => formatRef(refOf(object))))
      : [];
    const news = new Set(this.#due);
    const due = new Set([...news, ...all, ...(this.#all ? found.keys() : [])]);
    this.#due.clear();
    this.#all = false;
    for (const ref of due) {
      if (since === undefined || this.#since !== since) return;
      if (this.#differs(ref, found.get(ref) ?? [])) {
        if (news.has(ref)) this.#work.add(ref);
        else this.#work.remind(ref);
      }
      await pause();
    }
  }

  /** Whether an object's status seems to be another than it should; of an invalid object only the API server knows it. */
  #differs(ref: string, findings: readonly Diagnostic[]): boolean {
    const { store, isCounted, now } = this.#options;
    const { kind, ...meta } = parseRef(ref) ?? { kind: '', namespace: '', name: '' };
    if (!isKindName(kind) || !isCounted(kind, meta.namespace)) return false;
    if (hasErrors(findings)) return true;
    const object = store.get(kind, keyOf(meta)) as AnyObject | undefined;
    if (object === undefined) return false;
    const judgement = { findings, keptLastGood: false, rejection: this.#rejectionOf(ref) };
    const status = 'status' in object ? object.status : undefined;
    return statusPatch(status, judgement, { now: now(), generation: object.metadata.generation }) !== undefined;
  }
}

/** Findings about mesh objects, by `Kind namespace/name`. */
function byObject(findings: readonly Diagnostic[]): Map<string, readonly Diagnostic[]> {
  const found = new Map<string, readonly Diagnostic[]>();
  for (const finding of findings) {
    const { object } = finding;
    if (object === undefined || !isKindName(object.kind) || kinds[object.kind].builtin) continue;
    const ref = formatRef(object);
    found.set(ref, [...(found.get(ref) ?? []), finding]);
  }
  return found;
}
