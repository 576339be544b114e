// Keeps a copy of one kind of object in step with an API server: list, watch, resume, and never give up.
import type { KubeApi, WatchEvent } from './kube-api.ts';
import { annotationOf, keyOf, stateOf, versionOf } from './raw-object.ts';

/** What a reflector tells of the objects it follows. Raw objects, as the API server sent them. */
export interface ReflectorSink {
  readonly changed: (raw: unknown, key: string) => void;
  readonly gone: (key: string) => void;
  /** Called after each batch of the above. */
  readonly flush: () => void;
  readonly status: (status: ReflectorStatus) => void;
}

/** How a reflector is doing. */
export interface ReflectorStatus {
  /** It has read everything once, or knows that the kind does not exist. */
  readonly synced: boolean;
  readonly connected: boolean;
  readonly message: string;
}

/** What to follow and how. */
export interface ReflectorOptions {
  readonly api: KubeApi;
  /** Collection paths to try in order, such as `/apis/networking.istio.io/v1/sidecars`: the first that exists counts. */
  readonly paths: readonly string[];
  /**
   * Whether the kind is Kubernetes' own. Every API server has those: one that does not find them is not the one that it
   * should be, and nothing is gone because of it. Other kinds are there where somebody has defined them.
   */
  readonly builtin: boolean;
  /** Kubernetes' field selector, such as `status.phase!=Failed`: objects that it leaves out are not there. */
  readonly fieldSelector?: string;
  /** The same by labels, such as `istio.io/rev=default`. */
  readonly labelSelector?: string;
  /** Waits; rejects when aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
}

const pageSize = 500;
const firstDelayMs = 100;
const maxDelayMs = 10_000;
/** A kind that does not exist is looked for again so often. */
const absentMs = 2_000;
/**
 * Objects that were there do not go because one answer says that their kind is unknown: an API server that is starting
 * may say so. So many answers in a row are believed.
 */
const absentBelieved = 4;
/** Bookmarks come every minute; a connection that brings nothing for longer is dead, and resuming costs one request. */
const idleMs = 120_000;
/** A stream of initial events that is silent for so long does not end them: the server does not know what was asked. */
const initialIdleMs = 15_000;
/** What every API server answers, with a refusal at least. */
const alwaysThere = '/version';
const initialEventsEnd = 'k8s.io/initial-events-end';

/** Follows until the signal aborts. Never rejects. */
export async function reflect(options: ReflectorOptions, sink: ReflectorSink, signal: AbortSignal): Promise<void> {
  const reflector = new Reflector(options, sink, signal);
  await reflector.run();
}

type Step = 'relist' | 'resume' | 'absent';

/** How a watch ended; `expired`: its version is too old to resume from. */
interface WatchOutcome {
  readonly status: number;
  readonly message: string;
  readonly expired: boolean;
  readonly events: number;
}

/** Told of a watch: that the server agreed to it, and of each event after it was taken. */
interface WatchHooks {
  readonly opened?: () => void;
  readonly taken?: (event: WatchEvent) => void;
}

/** A list as the API server sends it. */
interface ListAnswer {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly unknown[];
  readonly kind?: string;
  readonly apiVersion?: string;
}

class Reflector {
  readonly #options: ReflectorOptions;
  readonly #sink: ReflectorSink;
  readonly #signal: AbortSignal;
  /** What the sink was told of: the state of each object, by key. */
  readonly #known = new Map<string, string>();
  #version: string | undefined;
  #path = 0;
  #synced = false;
  #streaming = true;
  /** A stream was opened that was to tell everything, and did not. */
  #incomplete = false;
  /** Steps in a row that brought nothing new: each waits longer than the one before. */
  #failures = 0;
  /** Watches in a row that the server agreed to and that brought nothing: a server that is back is not made to wait for. */
  #barren = 0;
  #absences = 0;

  constructor(options: ReflectorOptions, sink: ReflectorSink, signal: AbortSignal) {
    this.#options = options;
    this.#sink = sink;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        const step = this.#version === undefined ? await this.#read() : await this.#follow(this.#version);
        if (step === 'relist') this.#version = undefined;
        if (step === 'absent') await this.#wait(absentMs);
        else await this.#backOff();
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#failures++;
        this.#report(false, error instanceof Error ? error.message : String(error));
        await this.#backOff();
      }
    }
  }

  async #backOff(): Promise<void> {
    const fruitless = this.#failures + this.#barren;
    if (fruitless === 0) return;
    await this.#wait(Math.min(firstDelayMs * 2 ** Math.min(fruitless - 1, 10), maxDelayMs));
  }

  /**
   * Reads everything: as a stream that goes on as a watch where the server can, else in pages. After a stream that did
   * not tell everything it is the turn of pages: there are servers that ignore what they do not know.
   */
  async #read(): Promise<Step> {
    const streams = this.#streaming && !this.#incomplete;
    this.#incomplete = false;
    return streams ? this.#readStream() : this.#readPages();
  }

  async #readStream(): Promise<Step> {
    const seen = new Set<string>();
    let complete = false;
    // What arrives before the end of the initial events is no state to resume from.
    this.#version = undefined;
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const opened = (): void => {
      this.#incomplete = true;
    };
    const taken = (event: WatchEvent): void => {
      const key = keyOf(event.object);
      if (event.type === 'BOOKMARK' && annotationOf(event.object, initialEventsEnd) === 'true') {
        complete = true;
        this.#version = versionOf(event.object);
        this.#dropAllBut(seen);
        seen.clear();
        this.#nowSynced();
      } else if (!complete && key !== undefined) {
        if (event.type === 'DELETED') seen.delete(key);
        else seen.add(key);
      }
    };
    const end = await this.#watch(query, initialIdleMs, { opened, taken });
    if (end.status === 404) return this.#absent(end.message);
    // Servers without streaming lists refuse the parameter; 422 is Invalid.
    if (end.status === 400 || end.status === 422) {
      this.#streaming = false;
      return 'relist';
    }
    if (end.status !== 200) throw new Error(`${end.status} ${end.message}`);
    if (!complete) this.#report(false, `everything was to be read, but ${end.message}`);
    if (!complete || end.expired) this.#barren++;
    return complete && !end.expired ? 'resume' : 'relist';
  }

  async #readPages(): Promise<Step> {
    const seen = new Set<string>();
    let next = '';
    let version: string | undefined;
    do {
      const query = `limit=${pageSize}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
      const { status, body } = await this.#options.api.send('GET', this.#url(query));
      if (status === 404) return this.#absent(messageOf(body));
      // The continuation expired: begin again.
      if (status === 410) {
        this.#failures++;
        return 'relist';
      }
      if (status !== 200) throw new Error(`${status} ${messageOf(body)}`);
      const list = body as ListAnswer | null;
      // A page of what stands between us and the API server is not an empty list.
      if (typeof list?.metadata?.resourceVersion !== 'string') throw new Error('the answer is no list of objects');
      for (const item of list.items ?? []) {
        // Items of a list carry neither kind nor version of their own.
        const object = {
          apiVersion: list.apiVersion,
          kind: (list.kind ?? '').replace(/List$/, ''),
          ...(item as object),
        };
        const key = keyOf(object);
        if (key === undefined) continue;
        seen.add(key);
        this.#put(object, key);
      }
      this.#sink.flush();
      next = list.metadata.continue ?? '';
      version = list.metadata.resourceVersion;
    } while (next !== '' && !this.#signal.aborted);
    this.#dropAllBut(seen);
    this.#version = version;
    this.#nowSynced();
    return 'resume';
  }

  async #follow(version: string): Promise<Step> {
    const query = `watch=1&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}`;
    const end = await this.#watch(query, idleMs);
    if (end.status === 404) return this.#absent(end.message);
    if (end.status === 410) {
      // It answers, so what failed before is over.
      this.#failures = 0;
      this.#barren++;
      return 'relist';
    }
    if (end.status !== 200) throw new Error(`${end.status} ${end.message}`);
    // An end without any event is either a server that closes at once or a quiet kind: the pause is short at first.
    if (end.events === 0 || end.expired) this.#barren++;
    return end.expired ? 'relist' : 'resume';
  }

  async #watch(query: string, silenceMs: number, hooks: WatchHooks = {}): Promise<WatchOutcome> {
    let expired = false;
    let count = 0;
    let isOpen = false;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    const onEvents = (events: readonly WatchEvent[]): void => {
      for (const event of events) {
        if (event.type === 'ERROR') {
          // 410 (Gone) says that our version is too old; whatever it is, a new list is a safe answer.
          expired = true;
          stop.abort();
          break;
        }
        count++;
        this.#take(event);
        hooks.taken?.(event);
      }
      if (count > 0) this.#barren = 0;
      this.#sink.flush();
    };
    const onOpen = (): void => {
      this.#absences = 0;
      this.#failures = 0;
      isOpen = true;
      hooks.opened?.();
      if (this.#synced) this.#report(true, '');
    };
    try {
      const end = await this.#options.api.watch(this.#url(query), onEvents, signal, silenceMs, onOpen);
      return { ...end, expired, events: count };
    } catch (error) {
      if (expired) return { status: 200, message: 'expired', expired, events: count };
      if (isOpen && count === 0) this.#barren++;
      throw error;
    }
  }

  #take(event: WatchEvent): void {
    const key = keyOf(event.object);
    const version = versionOf(event.object);
    if (event.type !== 'BOOKMARK' && key !== undefined) {
      if (event.type === 'DELETED') {
        if (this.#known.delete(key)) this.#sink.gone(key);
      } else {
        this.#put(event.object, key);
      }
    }
    // Before the end of the initial events there is nothing to resume from.
    if (version !== undefined && this.#version !== undefined) this.#version = version;
  }

  /** Objects that are told again after a reconnection are not handed on again. */
  #put(object: unknown, key: string): void {
    const state = stateOf(object);
    if (state !== undefined && this.#known.get(key) === state) return;
    this.#known.set(key, state ?? '');
    this.#sink.changed(object, key);
  }

  #dropAllBut(seen: ReadonlySet<string>): void {
    for (const key of [...this.#known.keys()]) {
      if (seen.has(key)) continue;
      this.#known.delete(key);
      this.#sink.gone(key);
    }
    this.#sink.flush();
  }

  #nowSynced(): void {
    this.#failures = 0;
    this.#barren = 0;
    this.#incomplete = false;
    this.#absences = 0;
    this.#synced = true;
    this.#report(true, '');
  }

  /** The kind is not there in this version: the next path is tried, and after the last one there is nothing, or a fault. */
  async #absent(message: string): Promise<Step> {
    const { paths, builtin } = this.#options;
    this.#path = (this.#path + 1) % paths.length;
    if (this.#path > 0) {
      this.#version = undefined;
      return 'relist';
    }
    if (builtin) throw new Error(`404 ${message}`);
    this.#version = undefined;
    this.#absences++;
    if (this.#known.size > 0 && this.#absences < absentBelieved) return 'absent';
    if (!this.#synced || this.#known.size > 0) await this.#mustBeApiServer(message);
    this.#dropAllBut(new Set());
    this.#synced = true;
    this.#report(true, 'this kind is not installed');
    return 'absent';
  }

  /** What stands between us and the API server may find nothing at all: that says nothing of the kind. */
  async #mustBeApiServer(message: string): Promise<void> {
    const { status } = await this.#options.api.send('GET', alwaysThere);
    if (status === 404) throw new Error(`404 ${message} (nor does it find ${alwaysThere}, as every API server does)`);
  }

  #url(query: string): string {
    const { paths, fieldSelector, labelSelector } = this.#options;
    const fields = fieldSelector === undefined ? '' : `&fieldSelector=${encodeURIComponent(fieldSelector)}`;
    const labels = labelSelector === undefined ? '' : `&labelSelector=${encodeURIComponent(labelSelector)}`;
    return `${paths[this.#path] ?? ''}?${query}${fields}${labels}`;
  }

  #report(connected: boolean, message: string): void {
    this.#sink.status({ synced: this.#synced, connected, message });
  }

  async #wait(ms: number): Promise<void> {
    await this.#options.sleep(ms * (0.5 + this.#options.random()), this.#signal).catch(() => undefined);
  }
}

function messageOf(body: unknown): string {
  const { message } = (body ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message.slice(0, 500) : '';
}
