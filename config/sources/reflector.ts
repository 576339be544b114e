// Keeps a copy of one kind of object in step with an API server: list, watch, resume, and never give up.
import type { KubeApi, WatchEvent } from './kube-api.ts';

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
/** The server closes watches after 5 to 10 minutes; bookmarks come every minute. */
const idleMs = 10 * 60_000;
const initialEventsEnd = 'k8s.io/initial-events-end';

/** Follows until the signal aborts. Never rejects. */
export async function reflect(options: ReflectorOptions, sink: ReflectorSink, signal: AbortSignal): Promise<void> {
  const reflector = new Reflector(options, sink, signal);
  await reflector.run();
}

type Step = 'relist' | 'resume' | 'absent';

class Reflector {
  readonly #options: ReflectorOptions;
  readonly #sink: ReflectorSink;
  readonly #signal: AbortSignal;
  /** Keys that the sink was told of. */
  readonly #known = new Set<string>();
  #version: string | undefined;
  #path = 0;
  #synced = false;
  #streaming = true;
  #failures = 0;

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
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#failures++;
        this.#report(false, error instanceof Error ? error.message : String(error));
        await this.#wait(Math.min(firstDelayMs * 2 ** Math.min(this.#failures - 1, 10), maxDelayMs));
      }
    }
  }

  /** Reads everything: as a stream that goes on as a watch where the server can, else in pages. */
  async #read(): Promise<Step> {
    return this.#streaming ? this.#readStream() : this.#readPages();
  }

  async #readStream(): Promise<Step> {
    const seen = new Set<string>();
    let complete = false;
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const end = await this.#watch(query, (event) => {
      const key = keyOf(event.object);
      if (event.type === 'BOOKMARK' && annotationOf(event.object, initialEventsEnd) === 'true') {
        complete = true;
        this.#dropAllBut(seen);
        this.#nowSynced();
      } else if (!complete && key !== undefined) {
        if (event.type === 'DELETED') seen.delete(key);
        else seen.add(key);
      }
    });
    if (end.status === 404) return this.#absent();
    // Servers without streaming lists refuse the parameter; 422 is Invalid.
    if (end.status === 400 || end.status === 422) {
      this.#streaming = false;
      return 'relist';
    }
    if (end.status !== 200) throw new Error(`${end.status} ${end.message}`);
    return complete && !end.expired ? 'resume' : 'relist';
  }

  async #readPages(): Promise<Step> {
    const seen = new Set<string>();
    let next = '';
    let version: string | undefined;
    do {
      const query = `limit=${pageSize}${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
      const { status, body } = await this.#options.api.send('GET', `${this.#at()}?${query}`);
      if (status === 404) return this.#absent();
      // The continuation expired: begin again.
      if (status === 410) return 'relist';
      if (status !== 200) throw new Error(`${status} ${messageOf(body)}`);
      const list = body as {
        metadata?: { resourceVersion?: string; continue?: string };
        items?: readonly unknown[];
        kind?: string;
        apiVersion?: string;
      };
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
        this.#known.add(key);
        this.#sink.changed(object, key);
      }
      this.#sink.flush();
      next = list.metadata?.continue ?? '';
      version = list.metadata?.resourceVersion;
    } while (next !== '' && !this.#signal.aborted);
    this.#dropAllBut(seen);
    this.#version = version;
    this.#nowSynced();
    return 'resume';
  }

  async #follow(version: string): Promise<Step> {
    const end = await this.#watch(
      `watch=1&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}`,
      () => undefined,
    );
    if (end.status === 404) return this.#absent();
    if (end.status === 410 || end.expired) return 'relist';
    if (end.status !== 200) throw new Error(`${end.status} ${end.message}`);
    return 'resume';
  }

  async #watch(
    query: string,
    also: (event: WatchEvent) => void,
  ): Promise<{ status: number; message: string; expired: boolean }> {
    let expired = false;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    const onEvents = (events: readonly WatchEvent[]): void => {
      this.#failures = 0;
      if (this.#synced) this.#report(true, '');
      for (const event of events) {
        if (event.type === 'ERROR') {
          // Only 410 (Gone) says that our version is too old; whatever it is, a new list is a safe answer.
          expired = true;
          stop.abort();
          break;
        }
        this.#take(event);
        also(event);
      }
      this.#sink.flush();
    };
    try {
      const end = await this.#options.api.watch(`${this.#at()}?${query}`, onEvents, signal, idleMs);
      return { ...end, expired };
    } catch (error) {
      if (expired) return { status: 200, message: 'expired', expired };
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
        this.#known.add(key);
        this.#sink.changed(event.object, key);
      }
    }
    // During initial events versions are those of single objects: none of them can be resumed from.
    if (version !== undefined && (this.#version !== undefined || event.type === 'BOOKMARK')) this.#version = version;
  }

  #dropAllBut(seen: ReadonlySet<string>): void {
    for (const key of this.#known) {
      if (seen.has(key)) continue;
      this.#known.delete(key);
      this.#sink.gone(key);
    }
    this.#sink.flush();
  }

  #nowSynced(): void {
    this.#failures = 0;
    this.#synced = true;
    this.#report(true, '');
  }

  /** The kind is not there in this version: the next path is tried, and after the last one there is nothing. */
  #absent(): Step {
    this.#version = undefined;
    this.#path++;
    if (this.#path < this.#options.paths.length) return 'relist';
    this.#path = 0;
    this.#dropAllBut(new Set());
    this.#synced = true;
    this.#report(true, 'this kind is not installed');
    return 'absent';
  }

  #at(): string {
    return this.#options.paths[this.#path] ?? '';
  }

  #report(connected: boolean, message: string): void {
    this.#sink.status({ synced: this.#synced, connected, message });
  }

  async #wait(ms: number): Promise<void> {
    await this.#options.sleep(ms * (0.5 + this.#options.random()), this.#signal).catch(() => undefined);
  }
}

interface Meta {
  readonly metadata?: {
    readonly name?: unknown;
    readonly namespace?: unknown;
    readonly resourceVersion?: unknown;
    readonly annotations?: Readonly<Record<string, unknown>>;
  };
}

function keyOf(raw: unknown): string | undefined {
  const { name, namespace } = (raw as Meta | undefined)?.metadata ?? {};
  return typeof name === 'string' ? `${typeof namespace === 'string' ? namespace : ''}/${name}` : undefined;
}

function versionOf(raw: unknown): string | undefined {
  const version = (raw as Meta | undefined)?.metadata?.resourceVersion;
  return typeof version === 'string' ? version : undefined;
}

function annotationOf(raw: unknown, name: string): unknown {
  return (raw as Meta | undefined)?.metadata?.annotations?.[name];
}

function messageOf(body: unknown): string {
  const { message } = (body ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message.slice(0, 500) : '';
}
