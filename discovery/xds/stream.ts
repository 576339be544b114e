// One client's stream: takes its requests one by one, keeps its books, and sends what it is owed as fast as it reads.

import type { JsonObject } from '@bufbuild/protobuf';
import { formatDiagnostic } from '../../config/diagnostic.ts';
import { parseNode } from '../proxy/node.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { EncodedResource } from '../resource.ts';
import { type ResourceType, typeOfUrl } from '../xds-types.ts';
import { applyRequest } from './apply-request.ts';
import { type Caller, type Identity, identityFor } from './caller.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import type { StreamHost } from './host.ts';
import { acceptBrought, type Brought, type OwnResources, type StreamOwner } from './own-resources.ts';
import { rejectedOf, stillRejected } from './rejection.ts';
import { decodeRequest, maxNames, type Variant, type XdsRequest } from './request.ts';
import { Sender } from './sender.ts';
import { noResources, nothing, oweAll, type Step } from './subscription.ts';
import type { StreamStatus, Transport } from './transport.ts';
import { healthTypeUrl, isDebugType, rulesOf } from './type-rules.ts';

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
  /** Id and metadata of the first request's node. As text the metadata takes a fraction of what it takes as objects. */
  #node: { readonly id: string; readonly metadata: string } | undefined = undefined;
  #own: OwnResources | undefined = undefined;
  /** Versions of own resources that the client brought along, until it is known whether they are the present ones. */
  #brought: readonly Brought[] = [];
  #registered = false;
  readonly #sender: Sender;

  constructor(host: StreamHost, variant: Variant, transport: Transport, caller: Caller, serial: number) {
    this.#host = host;
    this.variant = variant;
    this.#transport = transport;
    this.#caller = caller;
    this.serial = serial;
    this.peer = transport.peer;
    this.connectedAt = host.wallClock();
    this.now = host.now;
    this.#sender = new Sender(this, host, transport);
  }

  /** `<workload>.<namespace>-<serial>`: what debug requests look for. */
  get connectionId(): string {
    return `${this.workloadId}-${this.serial}`;
  }

  /** `<workload>.<namespace>`, the part of the node id by which istioctl knows a proxy. */
  get workloadId(): string {
    return this.#node?.id.split('~')[2] ?? '';
  }

  /** Metadata of the first request's node. The rest of it, above all Envoy's list of extensions, is not kept. */
  get metadata(): JsonObject {
    return this.#node === undefined ? {} : (JSON.parse(this.#node.metadata) as JsonObject);
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
    for (const channel of this.channels.values()) {
      await channel.move(this.#host.views.open(next, channel.type), this.#host.slicer);
    }
    this.wake();
  }

  wake(): void {
    if (!this.closed) this.#host.due(this);
  }

  resolve(type: ResourceType, name: string): EncodedResource | 'class' | 'later' | undefined {
    if (this.#own?.serves(type, name) === true) return this.#own.get(type, name) ?? 'later';
    if (type !== 'secret') return 'class';
    const owner = this.#owner();
    return owner !== undefined && this.#host.authorizeSecret(owner, name) ? 'class' : undefined;
  }

  /** Sends what may be sent now. */
  flush(): void {
    if (!this.closed) this.#sender.flush();
  }

  /** Whether the client has not taken a message for longer than `limitMs`. */
  isStuck(limitMs: number): boolean {
    return this.#sender.isStuck(limitMs);
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
    this.#node = { id: request.node.id, metadata: JSON.stringify(request.node.metadata ?? {}) };
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
    if (channel.sub.names.size > maxNames) {
      this.end('RESOURCE_EXHAUSTED', `more than ${maxNames} resources of one type are subscribed`);
      return;
    }
    if (!step.open) {
      // The names that the step took away are still counted by the view.
      await channel.follow(step, wasWildcard, this.#host.slicer);
      channel.detach();
      this.channels.delete(type);
      return;
    }
    const expected = type === 'endpoint' ? this.#sender.expectEndpoints(step) : step;
    await channel.follow(expected, wasWildcard, this.#host.slicer);
    if (this.#own === undefined || step.have.size === 0) return;
    const brought = [...step.have].map(([name, version]) => ({ type, name, version }));
    this.#brought = acceptBrought(this.#own, [...this.#brought, ...brought]);
  }

  #open(type: ResourceType): Channel | undefined {
    const { proxyClass, proxy } = this;
    if (proxyClass === undefined || proxy === undefined) return undefined;
    const view = this.#host.views.open(proxyClass, type);
    const channel = new Channel(this, type, rulesOf(type, proxy.flavour), view);
    this.channels.set(type, channel);
    return channel;
  }

  #judge(channel: Channel, request: XdsRequest, step: Step): void {
    const { sub, type } = channel;
    const { metrics } = this.#host;
    if (step.nonce === 'stale') metrics.staleNonce(sub.typeUrl);
    if (step.nonce !== 'accepted' && step.nonce !== 'rejected') return;
    sub.awaiting = false;
    const { sent } = sub;
    if (step.nonce === 'accepted') {
      if (sent !== undefined) sub.acked = { nonce: sent.nonce, version: sent.version, at: this.#host.wallClock() };
      sub.rejection = stillRejected(sub, (name) => channel.lookup(name));
      this.#acknowledge(type, sent?.resources ?? []);
      // Kept only for the case that they are rejected.
      if (sent !== undefined) sub.sent = { ...sent, resources: noResources };
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
    this.#sender.judged(type);
  }

  #acknowledge(type: ResourceType, resources: readonly EncodedResource[]): void {
    const own = this.#own;
    if (own?.acknowledged === undefined) return;
    for (const resource of resources) if (own.serves(type, resource.name)) own.acknowledged(type, resource);
  }

  #ownChanged(type: ResourceType, names: readonly string[]): void {
    const channel = this.channels.get(type);
    if (channel === undefined || this.closed) return;
    const owed = new Map(names.filter((name) => channel.sub.names.has(name)).map((name) => [name, nothing] as const));
    channel.replan();
    oweAll(channel.sub, owed);
    if (this.#own !== undefined) this.#brought = acceptBrought(this.#own, this.#brought);
    this.wake();
  }

  async #answerDebug(request: XdsRequest): Promise<void> {
    const names = request.variant === 'sotw' ? request.names : request.subscribe;
    if (request.nonce !== '') return;
    const answer = await this.#host.debug(this, request.typeUrl, names);
    if (answer === undefined || this.closed) return;
    if ('status' in answer) this.end(answer.status, answer.message);
    else this.#sender.write(this.#host.debugMessage(this.variant, request.typeUrl, answer));
  }
}
