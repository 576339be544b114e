// The one writer: applies changes, brings the views up to date, and has every stream told; at once when idle.
import { compareText } from '../../config/object.ts';
import type { CellRef, Graph } from '../graph/graph.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { ResourceRef } from '../translate/translator.ts';
import type { ResourceType } from '../xds-types.ts';
import type { Caller } from './caller.ts';
import type { Draft } from './channel.ts';
import type { DebugAnswer, StreamHost } from './host.ts';
import { MessageCache } from './message-cache.ts';
import { noMetrics, type XdsMetrics } from './metrics.ts';
import { ownNamespaceOnly } from './own-resources.ts';
import type { LogLine, PublisherOptions } from './publisher-options.ts';
import type { Variant } from './request.ts';
import type { Message } from './response.ts';
import { Roster } from './roster.ts';
import { XdsStream } from './stream.ts';
import type { Rejection, Subscription } from './subscription.ts';
import type { Transport } from './transport.ts';
import { Slicer, Turns } from './turns.ts';
import { Views } from './views.ts';

/** Work done so far, for tests and metrics. */
export interface PublishCounts {
  readonly publishes: number;
  /** Responses encoded, and responses that were handed out again. */
  readonly built: number;
  readonly shared: number;
}

/** Unwanted cells that are worth a sweep: few enough to weigh nothing, and many enough that most are still unwanted. */
const worthSweeping = 1000;

/** Holds the streams and publishes changes to them. Knows no sockets. */
export class Publisher {
  readonly graph: Graph;
  readonly views: Views;
  readonly streams = new Set<XdsStream>();
  readonly #options: PublisherOptions;
  readonly #metrics: XdsMetrics;
  readonly #turns: Turns;
  readonly #messages: MessageCache;
  readonly #host: StreamHost;
  readonly #roster: Roster;
  readonly #due = new Set<XdsStream>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #unknownTypes = new Set<string>();
  readonly now: () => number;
  #writes: { readonly write: (graph: Graph) => void; readonly at: number }[] = [];
  #published: Promise<void> | undefined = undefined;
  #serial = 0;
  #publishes = 0;
  #stopped = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.graph = options.graph;
    this.#metrics = options.metrics ?? noMetrics;
    options.graph.onFailure(this.#onError);
    this.now = options.now ?? (() => performance.now());
    this.views = new Views(options.graph, options.translators, this.#onError);
    this.#messages = new MessageCache(options.epoch);
    this.#roster = new Roster(options.graph, options.proxies, options.classOf);
    this.#turns = new Turns(new Slicer(this.now), { due: () => this.#due.size > 0, run: () => this.#flush() });
    this.#host = this.#makeHost();
    this.#every(Math.max(1000, (options.lingerMs ?? 30_000) / 3), () => this.#sweepViews());
  }

  /**
   * Writes to the graph and publishes what follows. Idle: at once, before this returns (as far as one slice goes);
   * otherwise together with whatever else arrives before the next publish. Resolves when every stream was told.
   */
  apply(write: (graph: Graph) => void): Promise<void> {
    this.#writes.push({ write, at: this.now() });
    return this.#publishSoon();
  }

  /** Opens a stream for a caller that authentication let in. */
  open(variant: Variant, transport: Transport, caller: Caller): XdsStream {
    const stream = new XdsStream(this.#host, variant, transport, caller, ++this.#serial);
    this.streams.add(stream);
    this.#metrics.streamOpened(variant);
    return stream;
  }

  /** Resolves when nothing is running or waiting to be published. */
  async idle(): Promise<void> {
    await this.#turns.run(() => undefined);
  }

  get counts(): PublishCounts {
    return { publishes: this.#publishes, ...this.#messages.counts };
  }

  /** Counts a client that stopped reading. */
  writeTimedOut(): void {
    this.#metrics.writeTimeout();
  }

  /** Ends every stream and all timers. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const stream of [...this.streams]) stream.end('UNAVAILABLE', 'the server is shutting down');
  }

  #publishSoon(): Promise<void> {
    if (this.#published !== undefined) return this.#published;
    let started = false;
    const published = this.#turns.run(() => {
      started = true;
      this.#published = undefined;
      return this.#publish();
    });
    // Idle: the job has already taken the writes.
    if (!started) this.#published = published;
    return published;
  }

  async #publish(): Promise<void> {
    const began = this.now();
    const writes = this.#writes;
    this.#writes = [];
    for (const { write } of writes) {
      try {
        write(this.graph);
      } catch (error) {
        this.#onError(error, 'a write to the model');
      }
    }
    const changedAt = writes[0]?.at ?? began;
    if (writes.length > 0) this.#metrics.queueTime(began - changedAt);
    const marked = this.graph.takeMarked();
    this.#metrics.settleTime(this.now() - began);
    this.#publishes++;
    await this.views.refresh(marked, this.#turns.slicer);
    this.views.deliver();
    await this.#reclassify(marked);
    for (const stream of this.#due) stream.changedAt ??= changedAt;
    await this.#flush();
    this.#metrics.pushTime(this.now() - began);
  }

  async #reclassify(marked: readonly CellRef[]): Promise<void> {
    for (const { node, key } of marked) {
      if (node !== this.#roster.classNode) continue;
      const nodeId = key as string;
      for (const stream of this.#roster.of(nodeId)) {
        const next = this.#classify(nodeId);
        if (next === undefined || next === stream.proxyClass) continue;
        await stream.reclassify(next);
      }
    }
  }

  #classify(nodeId: string): ProxyClass | undefined {
    try {
      return this.#roster.classOf(nodeId);
    } catch (error) {
      this.#onError(error, `the class of proxy ${nodeId}`);
      return undefined;
    }
  }

  // Runs after every job, still alone: shared state is whole, so what is sent fits together.
  async #flush(): Promise<void> {
    const { slicer } = this.#turns;
    for (const stream of this.#due) {
      this.#due.delete(stream);
      this.#flushOne(stream);
      if (slicer.due()) await slicer.rest();
    }
    this.#forgetMessagesLater();
    this.#sweepGraphLater();
  }

  #flushOne(stream: XdsStream): void {
    try {
      stream.flush();
    } catch (error) {
      this.#onError(error, `sending to ${stream.connectionId}`);
      stream.end('INTERNAL', 'the response could not be built');
    }
  }

  #makeHost(): StreamHost {
    const options = this.#options;
    return {
      views: this.views,
      slicer: this.#turns.slicer,
      metrics: this.#metrics,
      limits: { settleMs: 500, ...options.limits },
      authorizeSecret: options.authorizeSecret ?? ownNamespaceOnly,
      now: this.now,
      wallClock: options.wallClock ?? Date.now,
      turn: (job) => this.#turns.run(job),
      due: (stream) => this.#makeDue(stream),
      later: (ms, callback) => this.#later(ms, callback),
      connected: (stream, proxy) => this.#connect(stream, proxy),
      closed: (stream, registered) => this.#disconnect(stream, registered),
      openOwn: (owner, changed) => options.openOwnResources?.(owner, changed),
      messageOf: (sub, draft) => this.#messageOf(sub, draft),
      sourcesOf: (ref) => this.#sourcesOf(ref),
      onRejection: (stream, type, rejection) => this.#logRejection(stream, type, rejection),
      unknownType: (typeUrl) => this.#logUnknownType(typeUrl),
      onError: this.#onError,
      debug: async (stream, typeUrl, names) => options.answerDebug?.(stream, typeUrl, names),
      debugMessage: (variant, typeUrl, answer) => this.#debugMessage(variant, typeUrl, answer),
    };
  }

  #makeDue(stream: XdsStream): void {
    this.#due.add(stream);
    // While a job runs, shared state may be half changed; the job's end flushes.
    if (this.#turns.busy) return;
    this.#due.delete(stream);
    this.#flushOne(stream);
    this.#forgetMessagesLater();
  }

  #connect(stream: XdsStream, proxy: Proxy): ProxyClass | undefined {
    if (this.#roster.join(stream, proxy)) this.#unasked(this.#publishSoon(), 'publishing a proxy that came');
    return this.#classify(proxy.nodeId);
  }

  #disconnect(stream: XdsStream, registered: boolean): void {
    this.streams.delete(stream);
    this.#due.delete(stream);
    this.#metrics.streamClosed(stream.variant);
    const left = this.#turns.run(() => {
      stream.detach();
      const nodeId = stream.proxy?.nodeId;
      if (registered && nodeId !== undefined && this.#roster.leave(stream, nodeId))
        this.#unasked(this.#publishSoon(), 'publishing that a proxy left');
    });
    this.#unasked(left, `closing ${stream.connectionId}`);
  }

  #messageOf(sub: Subscription, { resources, removed, shared }: Draft): Message {
    const contents = { typeUrl: sub.typeUrl, variant: sub.variant, resources, removed };
    return shared ? this.#messages.messageOf(contents, sub.sent?.nonce) : this.#messages.build(contents);
  }

  #debugMessage(variant: Variant, typeUrl: string, answer: DebugAnswer): Message {
    const anys = 'anys' in answer ? answer.anys : [];
    const resources = anys.map((any, i) => ({
      typeUrl,
      name: String(i),
      version: '',
      pieces: [any],
      size: any.length,
    }));
    const controlPlane = 'anys' in answer ? answer.controlPlane : undefined;
    return this.#messages.build({ typeUrl, variant, resources, removed: [] }, controlPlane);
  }

  #sourcesOf(ref: ResourceRef | undefined): readonly string[] {
    if (ref === undefined) return [];
    try {
      const inputs = this.graph.inputsOf(ref.query, ref.key);
      return this.#options.describeInputs?.(inputs) ?? inputs.map(({ node, id }) => `${node} ${id}`).sort(compareText);
    } catch {
      return [];
    }
  }

  #logRejection(stream: XdsStream, type: ResourceType, rejection: Rejection): void {
    const { message, resources } = rejection;
    const fields = {
      proxy: stream.proxy?.nodeId,
      type,
      reason: message,
      resources: resources.map(({ name }) => name),
      objects: [...new Set(resources.flatMap(({ sources }) => sources))],
    };
    this.#log({ level: 'warn', message: 'a proxy rejected its configuration', fields });
  }

  #logUnknownType(typeUrl: string): void {
    if (this.#unknownTypes.size >= 100 || this.#unknownTypes.has(typeUrl)) return;
    this.#unknownTypes.add(typeUrl);
    this.#log({ level: 'info', message: 'a client asked for a type that is not served', fields: { typeUrl } });
  }

  readonly #onError = (error: unknown, what: string): void => {
    this.#metrics.internalError();
    this.#log({ level: 'error', message: 'internal error', fields: { what, error } });
  };

  /** Has an error told of in work that nobody waits for. */
  #unasked(work: Promise<void>, what: string): void {
    work.catch((error: unknown) => this.#onError(error, what));
  }

  #log(line: LogLine): void {
    this.#options.log?.(line);
  }

  #sweepViews(): void {
    const before = this.now() - (this.#options.lingerMs ?? 30_000);
    this.#unasked(
      this.#turns.run(() => this.views.sweep(before)),
      'letting go of views',
    );
  }

  #sweeping = false;

  // One slice at a time, and each in a turn of its own: whoever waits comes first.
  #sweepGraphLater(): void {
    if (this.#sweeping || this.graph.unwanted < worthSweeping) return;
    this.#sweeping = true;
    const swept = this.#turns.run(() => {
      this.#sweeping = false;
      this.graph.sweep(() => this.#turns.slicer.due());
    });
    this.#unasked(swept, 'sweeping the graph');
  }

  #forgetting = false;

  // Streams that are owed the same ask within moments of each other; afterwards the bytes are only weight.
  #forgetMessagesLater(): void {
    if (this.#forgetting || this.#messages.size === 0) return;
    this.#forgetting = true;
    this.#later(1000, () => {
      this.#forgetting = false;
      this.#messages.clear();
      this.views.forgetShared();
    });
  }

  #later(ms: number, callback: () => void): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }

  #every(ms: number, callback: () => void): void {
    this.#later(ms, () => {
      callback();
      this.#every(ms, callback);
    });
  }
}
