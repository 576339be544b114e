// Sends a stream what it is owed: one message at a time, in the order that never breaks a reference.
import type { EncodedResource } from '../resource.ts';
import type { ResourceType } from '../xds-types.ts';
import type { Channel, Draft } from './channel.ts';
import type { StreamHost } from './host.ts';
import { type Holds, type Lane, nextPick, type Pick } from './order.ts';
import type { Message } from './response.ts';
import { asked, noResources, nothing, type Step } from './subscription.ts';
import type { Transport } from './transport.ts';
import { rankOf } from './type-rules.ts';

/** What a sender reads of its stream. */
export interface SendingStream {
  readonly channels: ReadonlyMap<ResourceType, Channel>;
  readonly closed: boolean;
  /** Set while a change is on its way to the client; cleared when all of it is sent. */
  changedAt: number | undefined;
  wake(): void;
}

/**
 * Listeners and routes wait while new clusters are on their way: first for the acknowledgement of the clusters, then
 * a moment for the request for their endpoints, then for the acknowledgement of these.
 */
interface Hold {
  readonly phase: 'cluster' | 'request' | 'endpoint';
  readonly until: number;
}

// Between the acknowledgement of a cluster and the request for its endpoints, where the cluster has any.
const requestMs = 50;

/** The sending side of one stream. */
export class Sender {
  readonly #stream: SendingStream;
  readonly #host: StreamHost;
  readonly #transport: Transport;
  // Clusters sent before the client asked for any endpoints.
  #sentClusters: readonly EncodedResource[] = [];
  #hold: Hold | undefined = undefined;
  #writing = false;
  #writeBegan = 0;
  #alarm = false;

  constructor(stream: SendingStream, host: StreamHost, transport: Transport) {
    this.#stream = stream;
    this.#host = host;
    this.#transport = transport;
  }

  /** Sends what may be sent now; the rest follows when the transport has taken that, or when a hold ends. */
  flush(): void {
    while (!this.#stream.closed && !this.#writing) {
      const lanes = this.#lanes();
      const pick = nextPick(lanes, this.#holds(lanes));
      if (pick === undefined) {
        this.#rest(lanes);
        return;
      }
      const channel = this.#stream.channels.get(pick.type);
      const draft = channel?.draft(pick.part);
      if (channel !== undefined && draft !== undefined) this.#send(channel, draft, pick);
    }
  }

  /** Writes one message without books. */
  write(message: Message): void {
    const began = this.#host.now();
    this.#writing = true;
    this.#writeBegan = began;
    this.#host.metrics.sent(message.typeUrl, message.size, message.resources.length);
    this.#transport.send(message, () => {
      this.#writing = false;
      this.#host.metrics.sendTime(this.#host.now() - began);
      this.#stream.wake();
    });
  }

  /** Whether the client has not taken a message for longer than `limitMs`. */
  isStuck(limitMs: number): boolean {
    return this.#writing && this.#host.now() - this.#writeBegan > limitMs;
  }

  /**
   * The client asks for endpoints. Those of a cluster that was sent on this stream are sent whatever version the
   * client has of them, because the cluster warms until it gets them.
   */
  expectEndpoints(step: Step): Step {
    const hold = this.#hold;
    if (hold !== undefined && hold.phase !== 'endpoint' && (step.first || step.joined.length > 0)) {
      this.#hold = { phase: 'endpoint', until: hold.until + this.#host.limits.settleMs };
    }
    const sent = this.#sentClusters;
    this.#sentClusters = [];
    if (step.have.size === 0 || sent.length === 0) return step;
    const have = new Map(step.have);
    for (const { name } of sent) have.delete(name);
    return { ...step, have };
  }

  /** The client accepted or rejected a response. */
  judged(type: ResourceType): void {
    const phase = this.#hold?.phase;
    if (type === 'cluster' && phase === 'cluster') {
      this.#hold = { phase: 'request', until: this.#host.now() + Math.min(requestMs, this.#host.limits.settleMs) };
    } else if (type === 'endpoint' && phase === 'endpoint') {
      this.#hold = undefined;
    }
  }

  #lanes(): readonly Lane[] {
    const channels = [...this.#stream.channels.values()].sort((a, b) => rankOf(a.type) - rankOf(b.type));
    return channels.map((channel) => {
      const { sub, type } = channel;
      const plan = channel.plan();
      const updates = plan.updates.length > 0 || plan.missing.length > 0;
      // A client that never acknowledges would only be slowed down.
      const acknowledges = sub.acked !== undefined || this.#host.now() - channel.openedAt < this.#host.limits.settleMs;
      const awaiting = sub.awaiting && acknowledges;
      return { type, answer: sub.mustAnswer && channel.ready, updates, removals: plan.gone.size > 0, awaiting };
    });
  }

  #holds(lanes: readonly Lane[]): Holds {
    const now = this.#host.now();
    if (this.#hold !== undefined && now >= this.#hold.until) this.#hold = undefined;
    const { settleMs } = this.#host.limits;
    const { channels } = this.#stream;
    const clusters = channels.get('cluster');
    const young = clusters !== undefined && !channels.has('listener') && now - clusters.openedAt < settleMs;
    const overdue = lanes.every(
      ({ type, awaiting }) =>
        !awaiting || (type !== 'listener' && type !== 'route') || now - (channels.get(type)?.sentAt ?? 0) >= settleMs,
    );
    return { newClusters: this.#hold !== undefined, young, overdue };
  }

  #send(channel: Channel, draft: Draft, pick: Pick): void {
    const { sub, type } = channel;
    const answered = sub.mustAnswer;
    const message = this.#host.messageOf(sub, draft);
    const { nonce, version, resources } = message;
    const at = this.#host.wallClock();
    if (version === sub.hadAll) {
      // The client has it from another stream, and has accepted it there.
      sub.sent = { nonce: '', version, at, resources: noResources };
      sub.acked = sub.sent;
      channel.settle(draft);
      return;
    }
    sub.sent = { nonce, version, at, resources };
    channel.settle(draft);
    sub.awaiting = true;
    channel.sentAt = this.#host.now();
    if (type === 'cluster' && pick.part === 'updates') this.#sentNewClusters(channel, draft, answered);
    this.write(message);
  }

  // Endpoints are sent again with their cluster, and routes wait for clusters that are new (contract 1.10).
  #sentNewClusters({ sub }: Channel, { updates, additions }: Draft, answered: boolean): void {
    const endpoints = this.#stream.channels.get('endpoint');
    if (endpoints === undefined) {
      this.#sentClusters = this.#sentClusters.length === 0 ? updates : [...this.#sentClusters, ...updates];
    } else {
      const again = updates.filter(({ name }) => endpoints.sub.names.has(name));
      if (again.length > 0) {
        const owed = new Map(endpoints.sub.owed);
        for (const { name } of again) owed.set(name, owed.get(name) === asked ? asked : nothing);
        endpoints.sub.owed = owed;
      }
    }
    // A client that never acknowledges would only be slowed down.
    if (!answered && additions > 0 && sub.acked !== undefined) {
      this.#hold = { phase: 'cluster', until: this.#host.now() + this.#host.limits.settleMs };
    }
  }

  // Nothing to send now: either all is told, or something is held back and needs a later look.
  #rest(lanes: readonly Lane[]): void {
    const stream = this.#stream;
    const now = this.#host.now();
    if (lanes.some(({ updates, removals }) => updates || removals)) {
      if (this.#alarm) return;
      this.#alarm = true;
      const { settleMs } = this.#host.limits;
      this.#host.later(Math.max(1, Math.min(settleMs, (this.#hold?.until ?? now + settleMs) - now)), () => {
        this.#alarm = false;
        stream.wake();
      });
    } else if (stream.changedAt !== undefined) {
      this.#host.metrics.convergenceTime(now - stream.changedAt);
      stream.changedAt = undefined;
    }
  }
}
