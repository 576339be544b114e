// One client's stream: takes its requests one by one, keeps its books, and sends what it is owed as fast as it reads.
import { formatDiagnostic } from '../../config/diagnostic.ts';
import { parseNode } from '../proxy/node.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { EncodedResource } from '../resource.ts';
import { type ResourceType, typeOfUrl } from '../xds-types.ts';
import { type Caller, type Identity, identityFor } from './caller.ts';
import { Channel, type ChannelOwner, type Draft } from './channel.ts';
import type { StreamHost } from './host.ts';
import { type Lane, nextPick, type Pick } from './order.ts';
import type { OwnResources, StreamOwner } from './own-resources.ts';
import { rejectedOf } from './rejection.ts';
import { decodeRequest, type Variant, type XdsRequest } from './request.ts';
import type { Message } from './response.ts';
import { applyRequest, nothing, oweAll, type Step } from './subscription.ts';
import { healthTypeUrl, isDebugType, rankOf, rulesOf } from './type-rules.ts';

/** gRPC status names a stream may end with. */
export type StreamStatus =
  | 'OK'
  | 'INVALID_ARGUMENT'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'UNAVAILABLE'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

/** The socket's end of a stream. */
export interface Transport {
  /** Address of the peer. */
  readonly peer: string;
  /** Writes one message; `done` is called when the transport has taken all of it. */
  readonly send: (bytes: Buffer, done: () => void) => void;
  /** Ends the stream. */
  readonly end: (status: StreamStatus, message: string) => void;
}

/** A stream from its opening to its end. */
export class XdsStream implements ChannelOwner {
  /** Serial number within the server. */
  readonly serial: number;
  readonly variant: Variant;
  readonly peer: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  readonly channels = new Map<ResourceType, Channel>();
  proxy: Proxy | undefined = undefined;
  identity: Identity | undefined = undefined;
  proxyClass: ProxyClass | undefined = undefined;
  closed = false;
  /** Set while a change is on its way to this client: when it began, monotonic. */
  changedAt: number | undefined = undefined;
  readonly now: () => number;
  readonly #host: StreamHost;
  readonly #transport: Transport;
  readonly #caller: Caller;
  #node: XdsRequest['node'] = undefined;
  #own: OwnResources | undefined = undefined;
  #registered = false;
  #writing = false;
  #wakeTimer = false;
  #writeBegan = 0;
  #hold: { readonly phase: 'cluster' | 'request' | 'endpoint'; readonly until: number } | undefined = undefined;
  #sentClusters = new Set<string>();
  readonly #lanesSentAt = new Map<ResourceType, number>();

  constructor(host: StreamHost, variant: Variant, transport: Transport, caller: Caller, serial: number) {
    this.#host = host;
    this.variant = variant;
    this.#transport = transport;
    this.#caller = caller;
    this.serial = serial;
    this.peer = transport.peer;
    this.connectedAt = host.wallClock();
    this.now = host.now;
  }

  /** `<node id>-<serial>`: what debug requests look for. */
  get connectionId(): string {
    return `${this.#node?.id ?? ''}-${this.serial}`;
  }

  /** The Node message of the first request. */
  get node(): XdsRequest['node'] {
    return this.#node;
  }

  /** Handles one message; the next one must wait for the promise. Never rejects. */
  async receive(bytes: Uint8Array): Promise<void> {
    if (this.closed) return;
    this.#host.metrics.received(bytes.length);
    const request = decodeRequest(this.variant, bytes);
    if ('problem' in request) {
      this.end('INVALID_ARGUMENT', request.problem);
      return;
    }
    try {
      await this.#dispatch(request);
    } catch (error) {
      this.#host.onError(error, `request of ${this.connectionId} for ${request.typeUrl}`);
      this.end('INTERNAL', 'the request could not be served');
    }
  }

  /** Ends the stream from our side. */
  end(status: StreamStatus, message: string): void {
    if (this.closed) return;
    if (status !== 'OK') this.#host.metrics.streamRefused(status);
    this.#transport.end(status, message);
    this.close();
  }

  /** Lets go of everything; called when the stream has ended from either side. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#own?.close();
    this.#host.closed(this, this.#registered);
  }

  /** Leaves all views; in the host's turn. */
  detach(): void {
    for (const channel of this.channels.values()) channel.detach();
    this.channels.clear();
  }

  /** The proxy's class became another one; in the host's turn. */
  async reclassify(next: ProxyClass): Promise<void> {
    this.proxyClass = next;
    for (const channel of this.#inOrder()) {
      await channel.move(this.#host.views.open(next, channel.type), this.#host.slicer);
    }
    this.wake();
  }

  readonly wake = (): void => {
    if (!this.closed) this.#host.due(this);
  };

  readonly resolve = (type: ResourceType, name: string): EncodedResource | 'class' | undefined => {
    if (this.#own?.serves(type, name) === true) return this.#own.get(type, name);
    if (type !== 'secret') return 'class';
    const owner = this.#owner();
    return owner !== undefined && this.#host.authorizeSecret(owner, name) ? 'class' : undefined;
  };

  /** Sends what may be sent now; one message at a time, the next when the transport took it. */
  flush(): void {
    while (!this.closed && !this.#writing) {
      const lanes = this.#lanes();
      const pick = nextPick(lanes, this.#holds(lanes));
      if (pick === undefined) {
        this.#rest(lanes);
        return;
      }
      const channel = this.channels.get(pick.type);
      const draft = channel?.draft(pick.part);
      if (channel !== undefined && draft !== undefined) this.#send(channel, draft, pick);
    }
  }

  /** Whether the client has not taken a message for longer than `limitMs`. */
  isStuck(limitMs: number): boolean {
    return this.#writing && this.now() - this.#writeBegan > limitMs;
  }

  async #dispatch(request: XdsRequest): Promise<void> {
    if (request.typeUrl === healthTypeUrl) return;
    if (this.#node === undefined && !this.#introduce(request)) return;
    if (isDebugType(request.typeUrl)) {
      await this.#answerDebug(request);
      return;
    }
    const type = typeOfUrl(request.typeUrl);
    if (type === undefined) {
      this.#host.unknownType(request.typeUrl);
      return;
    }
    await this.#host.turn(async () => {
      if (this.closed || !this.#register()) return;
      await this.#handle(type, request);
      this.wake();
    });
  }

  // The first request must say who it is, and the caller must be allowed to be that.
  #introduce(request: XdsRequest): boolean {
    if (request.node === undefined || request.node.id === '') {
      this.end('INVALID_ARGUMENT', 'missing node information');
      return false;
    }
    const parsed = parseNode(request.node);
    if (parsed.kind === 'invalid') {
      this.end('INVALID_ARGUMENT', formatDiagnostic(parsed.problem));
      return false;
    }
    if (this.#caller.kind === 'identified') {
      this.identity = identityFor(parsed.proxy, this.#caller.identities);
      if (this.identity === undefined) {
        this.end('PERMISSION_DENIED', "the caller's identity does not match the node's namespace and service account");
        return false;
      }
    }
    this.#node = request.node;
    this.proxy = parsed.proxy;
    return true;
  }

  // Only clients that ask for resources become proxies of the mesh; istioctl does not.
  #register(): boolean {
    if (this.#registered) return true;
    const owner = this.#owner();
    if (owner === undefined) return false;
    this.#registered = true;
    this.proxyClass = this.#host.connected(this, owner.proxy);
    if (this.proxyClass === undefined) {
      this.end('INTERNAL', 'the proxy could not be classified');
      return false;
    }
    this.#own = this.#host.openOwn(owner, (type, names) => this.#ownChanged(type, names));
    return true;
  }

  #owner(): StreamOwner | undefined {
    if (this.proxy === undefined) return undefined;
    return this.identity === undefined ? { proxy: this.proxy } : { proxy: this.proxy, identity: this.identity };
  }

  async #handle(type: ResourceType, request: XdsRequest): Promise<void> {
    const known = this.channels.get(type);
    const channel = known ?? this.#open(type);
    if (channel === undefined) return;
    const wasWildcard = channel.sub.wildcard;
    const step = applyRequest(channel.sub, request, channel.rules, known === undefined);
    this.#judge(channel, request, step);
    if (!step.open) {
      // The names that the step took away are still counted by the view.
      await channel.follow(step, wasWildcard, this.#host.slicer);
      channel.detach();
      this.channels.delete(type);
      return;
    }
    if (type === 'endpoint') this.#beforeEndpoints(step, known === undefined);
    await channel.follow(this.#withoutStale(type, step), wasWildcard, this.#host.slicer);
  }

  #open(type: ResourceType): Channel | undefined {
    const { proxyClass, proxy } = this;
    if (proxyClass === undefined || proxy === undefined) return undefined;
    const view = this.#host.views.open(proxyClass, type);
    const channel = new Channel(this, type, rulesOf(type, proxy.flavour), view);
    this.channels.set(type, channel);
    return channel;
  }

  #judge({ sub, type }: Channel, request: XdsRequest, step: Step): void {
    const { metrics } = this.#host;
    if (step.nonce === 'stale') metrics.staleNonce(sub.typeUrl);
    if (step.nonce !== 'accepted' && step.nonce !== 'rejected') return;
    sub.awaiting = false;
    const { sent } = sub;
    if (step.nonce === 'accepted') {
      if (sent !== undefined) sub.acked = { nonce: sent.nonce, version: sent.version, at: this.#host.wallClock() };
      sub.rejection = undefined;
    } else {
      const message = request.error?.message ?? '';
      const resources = rejectedOf(message, sent?.resources ?? []).map(({ name, version }) => ({
        name,
        version,
        sources: this.#host.sourcesOf(this.channels.get(type)?.view?.refOf(name)),
      }));
      sub.rejection = { nonce: request.nonce, at: this.#host.wallClock(), message, resources };
      metrics.rejected(sub.typeUrl);
      this.#host.onRejection(this, type, sub.rejection);
    }
    this.#advanceHold(type);
  }

  // A cluster that was sent on this stream warms until it gets its endpoints, whatever version the client has of them.
  #withoutStale(type: ResourceType, step: Step): Step {
    if (type !== 'endpoint' || step.have.size === 0 || this.#sentClusters.size === 0) return step;
    const have = new Map(step.have);
    for (const name of this.#sentClusters) have.delete(name);
    return { ...step, have };
  }

  #beforeEndpoints(step: Step, fresh: boolean): void {
    if (this.#hold !== undefined && this.#hold.phase !== 'endpoint' && (fresh || step.joined.length > 0)) {
      this.#hold = { phase: 'endpoint', until: this.#hold.until + this.#host.limits.settleMs };
    }
  }

  #advanceHold(type: ResourceType): void {
    if (this.#hold === undefined) return;
    if (type === 'cluster' && this.#hold.phase === 'cluster') {
      // The subscription to new endpoints follows the acknowledgement closely, where there is one.
      this.#holdFor('request', 50);
    } else if (type === 'endpoint' && this.#hold.phase === 'endpoint') {
      this.#hold = undefined;
    }
  }

  #holdFor(phase: 'cluster' | 'request', ms: number): void {
    this.#hold = { phase, until: this.now() + ms };
  }

  #lanes(): readonly Lane[] {
    return this.#inOrder().map((channel) => {
      const { sub, type } = channel;
      const plan = channel.plan();
      const updates = plan.updates.length > 0 || plan.missing.length > 0;
      // A client that never acknowledges would only be slowed down.
      const acknowledges = sub.acked !== undefined || this.now() - channel.openedAt < this.#host.limits.settleMs;
      const awaiting = sub.awaiting && acknowledges;
      return { type, answer: sub.mustAnswer, updates, removals: plan.gone.size > 0, awaiting };
    });
  }

  #holds(lanes: readonly Lane[]): { newClusters: boolean; young: boolean; overdue: boolean } {
    const now = this.now();
    if (this.#hold !== undefined && now >= this.#hold.until) this.#hold = undefined;
    const { settleMs } = this.#host.limits;
    const clusters = this.channels.get('cluster');
    const young = clusters !== undefined && !this.channels.has('listener') && now - clusters.openedAt < settleMs;
    let overdue = true;
    for (const { type, awaiting } of lanes) {
      if (awaiting && now - (this.#lanesSentAt.get(type) ?? 0) < settleMs) overdue = false;
    }
    return { newClusters: this.#hold !== undefined, young, overdue };
  }

  #inOrder(): readonly Channel[] {
    return [...this.channels.values()].sort((a, b) => rankOf(a.type) - rankOf(b.type));
  }

  #send(channel: Channel, draft: Draft, pick: Pick): void {
    const { sub, type } = channel;
    const answered = sub.mustAnswer;
    const message = this.#host.messageOf(sub, draft);
    const at = this.#host.wallClock();
    sub.sent = { nonce: message.nonce, version: message.version, at, resources: message.resources };
    sub.owed = draft.owedAfter;
    sub.mustAnswer = false;
    sub.awaiting = true;
    this.#lanesSentAt.set(type, this.now());
    if (type === 'cluster' && pick.part === 'updates') this.#sentNewClusters(channel, draft, answered);
    this.#write(message);
  }

  // Endpoints are sent again with their cluster, and routes wait for clusters that are new (contract 1.10).
  #sentNewClusters({ sub }: Channel, { updates, additions }: Draft, answered: boolean): void {
    const endpoints = this.channels.get('endpoint');
    if (endpoints === undefined) for (const { name } of updates) this.#sentClusters.add(name);
    else {
      this.#sentClusters = new Set();
      const again = updates.filter(({ name }) => endpoints.sub.names.has(name));
      if (again.length > 0) {
        const owed = new Map(endpoints.sub.owed);
        for (const { name } of again) owed.set(name, owed.get(name) === '?' ? '?' : nothing);
        endpoints.sub.owed = owed;
      }
    }
    // A client that never acknowledges would only be slowed down.
    if (!answered && additions > 0 && sub.acked !== undefined) this.#holdFor('cluster', this.#host.limits.settleMs);
  }

  #write(message: Message): void {
    const began = this.now();
    this.#writing = true;
    this.#writeBegan = began;
    this.#host.metrics.sent(message.typeUrl, message.bytes.length, message.resources.length);
    this.#transport.send(message.bytes, () => {
      this.#writing = false;
      this.#host.metrics.sendTime(this.now() - began);
      this.wake();
    });
  }

  // Nothing to send now: either all is told, or something is held back and needs a later look.
  #rest(lanes: readonly Lane[]): void {
    if (lanes.some(({ updates, removals }) => updates || removals)) {
      if (this.#wakeTimer) return;
      this.#wakeTimer = true;
      const now = this.now();
      const { settleMs } = this.#host.limits;
      this.#host.later(Math.max(1, Math.min(settleMs, (this.#hold?.until ?? now + settleMs) - now)), () => {
        this.#wakeTimer = false;
        this.wake();
      });
    } else if (this.changedAt !== undefined) {
      this.#host.metrics.convergenceTime(this.now() - this.changedAt);
      this.changedAt = undefined;
    }
  }

  #ownChanged(type: ResourceType, names: readonly string[]): void {
    const channel = this.channels.get(type);
    if (channel === undefined || this.closed) return;
    const owed = new Map(names.filter((name) => channel.sub.names.has(name)).map((name) => [name, nothing] as const));
    channel.replan();
    oweAll(channel.sub, owed);
    this.wake();
  }

  async #answerDebug(request: XdsRequest): Promise<void> {
    const names = request.variant === 'sotw' ? request.names : request.subscribe;
    if (request.nonce !== '') return;
    const answer = await this.#host.debug(this, request.typeUrl, names);
    if (answer === undefined || this.closed) return;
    if ('status' in answer) this.end(answer.status, answer.message);
    else this.#write(this.#host.debugMessage(this.variant, request.typeUrl, answer));
  }
}
