// A client that keeps what it was sent and goes with that from one server to another, as a proxy does whose replica ends.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ResourceType, typeUrls } from '../../../discovery/xds-types.ts';
import type { NodeSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { sleep, waitFor } from '../wait.ts';
import type { Received } from './client.ts';
import type { GrpcConnection, GrpcStream } from './grpc-client.ts';

/** Names by type; `*` subscribes to everything of a type. */
export type Wanted = Partial<Readonly<Record<ResourceType, readonly string[]>>>;

/** What a server said during a visit, as `type name`, sorted. */
export interface Visit {
  readonly sent: readonly string[];
  readonly removed: readonly string[];
}

interface Held {
  readonly text: string;
  /** Its own with delta; of the whole response else. */
  readonly version: string;
}

/** How long nothing must come for a visit to be over: what a server holds back it sends by then. */
const quietMs = 300;

/** Follows one server at a time, and acknowledges everything. */
export class Wanderer {
  readonly #variant: 'delta' | 'sotw';
  readonly #node: MessageInitShape<typeof NodeSchema>;
  readonly #wanted: ReadonlyMap<ResourceType, readonly string[]>;
  readonly #held = new Map<ResourceType, Map<string, Held>>();
  /** Of the last response of each type. */
  readonly #versions = new Map<ResourceType, string>();

  constructor(variant: 'delta' | 'sotw', node: MessageInitShape<typeof NodeSchema>, wanted: Wanted) {
    this.#variant = variant;
    this.#node = node;
    this.#wanted = new Map(Object.entries(wanted) as [ResourceType, readonly string[]][]);
  }

  /** What it holds: text and version by `type name`. */
  get held(): Readonly<Record<string, Held>> {
    const all = [...this.#held].flatMap(([type, held]) => [...held].map(([name, one]) => [`${type} ${name}`, one]));
    return Object.fromEntries(all.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)));
  }

  /**
   * Opens a stream, says what it has, and takes what comes until nothing does, and `until` holds. The name table is asked
   * for besides, as a client does that has none: its answer comes after those to all that was asked for before.
   */
  async visit(
    connection: GrpcConnection,
    headers: Readonly<Record<string, string>>,
    until: (visit: Visit) => boolean = () => true,
  ): Promise<Visit> {
    const stream = connection.open(this.#variant, headers);
    for (const type of this.#wanted.keys()) this.#ask(stream, type);
    this.#write(stream, { node: this.#node, typeUrl: typeUrls.nameTable });
    const sent = new Set<string>();
    const removed = new Set<string>();
    const visit = (): Visit => ({ sent: [...sent].sort(), removed: [...removed].sort() });
    let read = 0;
    let isAnswered = false;
    let lastAt = performance.now();
    const isOver = (): boolean => {
      for (; read < stream.received.length; read++) {
        const message = stream.received[read] as Received;
        lastAt = performance.now();
        const type = [...this.#wanted.keys()].find((each) => typeUrls[each] === message.typeUrl);
        if (message.typeUrl === typeUrls.nameTable) isAnswered = true;
        if (type === undefined) this.#write(stream, { typeUrl: message.typeUrl, responseNonce: message.nonce });
        else this.#take(stream, type, message);
        for (const name of message.resources.keys()) if (type !== undefined) sent.add(`${type} ${name}`);
        for (const name of message.removed) removed.add(`${type} ${name}`);
      }
      return isAnswered && performance.now() - lastAt > quietMs && until(visit());
    };
    try {
      await waitFor('the end of a visit', isOver, { detail: () => JSON.stringify(visit()) });
    } finally {
      stream.end();
      await sleep(0);
    }
    return visit();
  }

  #ask(stream: GrpcStream, type: ResourceType): void {
    const typeUrl = typeUrls[type];
    const held = [...(this.#held.get(type) ?? [])].map(([name, { version }]) => [name, version]);
    if (this.#variant === 'delta') {
      stream.delta({
        ...{ node: this.#node, typeUrl },
        resourceNamesSubscribe: [...(this.#wanted.get(type) ?? [])],
        initialResourceVersions: Object.fromEntries(held),
      });
    } else {
      const versionInfo = this.#versions.get(type) ?? '';
      stream.sotw({ node: this.#node, typeUrl, resourceNames: this.#names(type), versionInfo });
    }
  }

  /** Names as a request of the state of the world has them. */
  #names(type: ResourceType): string[] {
    return (this.#wanted.get(type) ?? []).filter((name) => name !== '*');
  }

  #take(stream: GrpcStream, type: ResourceType, { nonce, version, versions, resources, removed }: Received): void {
    const typeUrl = typeUrls[type];
    const isWhole = this.#variant === 'sotw' && this.#names(type).length === 0;
    const held = isWhole ? new Map<string, Held>() : (this.#held.get(type) ?? new Map<string, Held>());
    for (const [name, text] of resources) held.set(name, { text, version: versions.get(name) ?? version });
    for (const name of removed) held.delete(name);
    this.#held.set(type, held);
    this.#versions.set(type, version);
    if (this.#variant === 'delta') stream.delta({ typeUrl, responseNonce: nonce });
    else stream.sotw({ typeUrl, resourceNames: this.#names(type), versionInfo: version, responseNonce: nonce });
  }

  #write(stream: GrpcStream, request: Parameters<GrpcStream['delta']>[0] & Parameters<GrpcStream['sotw']>[0]): void {
    if (this.#variant === 'delta') stream.delta(request);
    else stream.sotw(request);
  }
}
