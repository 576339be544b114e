// Has the status of mesh objects say what is wrong with them: looks at those that a change concerns, writes what differs.
import { type Diagnostic, hasErrors } from '../../config/diagnostic.ts';
import { type AnyObject, isKindName, type KindName, kindNames, kinds } from '../../config/kinds/kinds.ts';
import { formatRef, keyOf, parseRef, refOf } from '../../config/object.ts';
import { relate, relatedKinds } from '../../config/relations/relations.ts';
import type { Surroundings } from '../../config/relations/view.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import type { CheckObject, ObjectChange } from '../../config/sources/source.ts';
import type { Store } from '../../config/store.ts';
import { KeyedWork } from './keyed-work.ts';
import { type Judgement, statusPatch } from './status-patch.ts';
import { createStatusWriter } from './status-writer.ts';

/** What writing them needs. Times in milliseconds. */
export interface ObjectStatusOptions {
  readonly api: Pick<KubeApi, 'send'>;
  readonly store: Pick<Store, 'get' | 'list' | 'findings' | 'subscribe' | 'onFindings'>;
  /** The check that the store's source does. */
  readonly check: CheckObject;
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
  /** Sentences about what proxies of this replica reject, by `Kind namespace/name`. */
  readonly rejections: () => ReadonlyMap<string, string>;
  /** Whether the mesh takes notice of the objects of a kind in a namespace. */
  readonly isCounted: (kind: KindName, namespace: string) => boolean;
  /** Key of the ConfigMap that holds the mesh's settings. */
  readonly meshConfigMap: string;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly count: (outcome: 'written' | 'failed') => void;
  readonly log: (message: string) => void;
}

/** Changes within this time are looked at together; those of pods, which only Gateways refer to, come too often for that. */
const gatherMs = 500;
const gatherLongMs = 10_000;
/** A look rests so many times as long as it took: it may cost a tenth of one CPU at most. */
const restFactor = 10;
/** Proxies' rejections are looked at so often: they come and go without any object's doing. */
const rejectionsMs = 2_000;
/** A new leader does not take back what another saw rejected before the proxies had time to come to it. */
const patienceMs = 60_000;
const sliceMs = 10;

const meshKinds = kindNames.filter((kind) => !kinds[kind].builtin);

/** Writes statuses while it leads, until disposed. Objects of which nothing is found, and nothing was, are not touched. */
export class ObjectStatus implements AsyncDisposable {
  readonly #options: ObjectStatusOptions;
  readonly #stop = new AbortController();
  readonly #work: KeyedWork;
  readonly #unsubscribe: readonly (() => void)[];
  /** Kinds of which all objects are to be looked at, and single objects by `Kind namespace/name`. */
  readonly #dueKinds = new Set<KindName>();
  readonly #due = new Set<string>();
  /** What the source found of single objects. */
  readonly #found = new Map<string, readonly Diagnostic[]>();
  #rejections: ReadonlyMap<string, string> = new Map();
  /** Objects of which this replica saw a rejection while it leads. */
  readonly #seenRejected = new Set<string>();
  /** Made anew for each look, and kept for the writes that follow from it. */
  #around: Surroundings;
  /** Since when this replica leads. */
  #since: number | undefined;
  #looking: Promise<void> = Promise.resolve();
  #restUntil = 0;
  #timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined;
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: ObjectStatusOptions) {
    this.#options = options;
    const { api, store, check, sleep, now, log, count } = options;
    this.#around = options.surroundings();
    const writer = createStatusWriter({
      ...{ api, store, check, now },
      surroundings: () => this.#around,
      rejectionOf: (ref) => this.#rejectionOf(ref),
      written: () => count('written'),
    });
    this.#work = new KeyedWork({
      perform: writer.write,
      workers: 4,
      restMs: 50,
      sleep,
      failed: (ref, error) => {
        count('failed');
        log(`the status of ${ref} cannot be written: ${error.message}`);
      },
    });
    this.#remember([], store.findings());
    this.#unsubscribe = [
      store.subscribe((changes) => {
        for (const change of changes) this.#changed(change);
      }),
      store.onFindings(({ before, after }) => this.#remember(before, after)),
    ];
  }

  /** Told by the election. */
  lead(leading: boolean): void {
    this.#since = leading ? this.#options.now() : undefined;
    this.#work.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#timer?.handle);
    this.#timer = undefined;
    this.#timers = [];
    this.#rejections = new Map();
    this.#seenRejected.clear();
    if (!leading) return;
    this.#lookAtRejections();
    this.#timers = [
      setInterval(() => this.#lookAtRejections(), rejectionsMs),
      setTimeout(() => this.#lookAtAll(gatherMs), patienceMs),
    ];
    this.#lookAtAll(gatherMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.lead(false);
    this.#stop.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#looking;
    await this.#work[Symbol.asyncDispose]();
  }

  #changed({ kind, key, elsewhere }: ObjectChange): void {
    if (this.#since === undefined) return;
    // What we said of an object that is now another revision's only the API server knows.
    if (elsewhere) this.#work.add(`${kind} ${key}`);
    else if (!kinds[kind].builtin) this.#look(`${kind} ${key}`);
    if (kind === 'ConfigMap' && key !== this.#options.meshConfigMap) return;
    // Other namespaces may count now.
    if (kind === 'Namespace' || kind === 'ConfigMap') this.#lookAtAll(gatherMs);
    const concerned = relatedKinds(kind);
    for (const one of concerned) this.#dueKinds.add(one);
    if (concerned.length > 0) this.#soon(kind === 'Pod' ? gatherLongMs : gatherMs);
  }

  #look(ref: string): void {
    if (this.#since === undefined) return;
    this.#due.add(ref);
    this.#soon(gatherMs);
  }

  #lookAtAll(ms: number): void {
    for (const kind of meshKinds) this.#dueKinds.add(kind);
    for (const ref of this.#found.keys()) this.#due.add(ref);
    this.#soon(ms);
  }

  /** Takes over what the source finds; it reports each object by itself. */
  #remember(before: readonly Diagnostic[], after: readonly Diagnostic[]): void {
    const found = byObject(after);
    for (const ref of byObject(before).keys()) if (!found.has(ref)) found.set(ref, []);
    for (const [ref, findings] of found) {
      if (findings.length === 0) this.#found.delete(ref);
      else this.#found.set(ref, findings);
      this.#look(ref);
    }
  }

  #lookAtRejections(): void {
    const before = this.#rejections;
    this.#rejections = this.#options.rejections();
    for (const ref of new Set([...before.keys(), ...this.#rejections.keys()])) {
      this.#seenRejected.add(ref);
      if (before.get(ref) !== this.#rejections.get(ref)) this.#look(ref);
    }
  }

  #rejectionOf(ref: string): Judgement['rejection'] {
    const isNew = this.#since === undefined || this.#options.now() - this.#since < patienceMs;
    const known = !isNew || this.#seenRejected.has(ref);
    return this.#rejections.get(ref) ?? (known ? undefined : 'unknown');
  }

  #soon(ms: number): void {
    const now = performance.now();
    const at = Math.max(now + ms, this.#restUntil);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(() => {
      this.#timer = undefined;
      this.#looking = this.#looking.then(() => this.#lookNow());
    }, at - now);
    this.#timer = { handle, at };
  }

  /** Looks at all that is due, and has written what differs. */
  async #lookNow(): Promise<void> {
    const { store, surroundings, sleep } = this.#options;
    const began = performance.now();
    const since = this.#since;
    this.#around = surroundings();
    const due = new Set(this.#due);
    for (const kind of this.#dueKinds) for (const object of store.list(kind)) due.add(formatRef(refOf(object)));
    this.#due.clear();
    this.#dueKinds.clear();
    let sliceEnd = began + sliceMs;
    for (const ref of due) {
      if (since === undefined || this.#since !== since) return;
      if (this.#differs(ref)) this.#work.add(ref);
      if (performance.now() < sliceEnd) continue;
      await sleep(0, this.#stop.signal);
      sliceEnd = performance.now() + sliceMs;
    }
    const now = performance.now();
    this.#restUntil = now + (now - began) * restFactor;
  }

  /** Whether an object's status seems to be another than it should; of an invalid object only the API server knows it. */
  #differs(ref: string): boolean {
    const { store, isCounted, now } = this.#options;
    const { kind, ...meta } = parseRef(ref) ?? { kind: '', namespace: '', name: '' };
    if (!isKindName(kind) || !isCounted(kind, meta.namespace)) return false;
    const findings = this.#found.get(ref) ?? [];
    if (hasErrors(findings)) return true;
    const object = store.get(kind, keyOf(meta)) as AnyObject | undefined;
    if (object === undefined) return false;
    const judgement = {
      findings: [...findings, ...relate(object, this.#around)],
      keptLastGood: false,
      rejection: this.#rejectionOf(ref),
    };
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
