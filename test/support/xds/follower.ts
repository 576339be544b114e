// A proxy on one delta stream over gRPC that acknowledges everything and keeps what it was sent.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ResourceType, typeUrls } from '../../../discovery/xds-types.ts';
import type { NodeSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import type { Received } from './client.ts';
import { connect, type GrpcConnection, type GrpcStream } from './grpc-client.ts';

/** Names by type; `*` subscribes to everything of a type, and `of clusters` to endpoints as an Envoy asks for them. */
export type Subscriptions = Partial<Readonly<Record<ResourceType, readonly string[]>>> & {
  readonly endpoints?: 'of clusters';
};

interface Held {
  readonly text: string;
  readonly version: string;
}

/** Follows the server at `host:port` until disposed. */
export class Follower implements Disposable {
  readonly #connection: GrpcConnection;
  readonly #stream: GrpcStream;
  readonly #held = new Map<string, Held>();
  /** How often a resource was sent. */
  readonly #sent = new Map<string, number>();
  /** Names of endpoints that clusters made it ask for; undefined where it does not do so. */
  readonly #asked: Set<string> | undefined;

  constructor(address: string, node: MessageInitShape<typeof NodeSchema>, subscriptions: Subscriptions) {
    this.#connection = connect(address);
    this.#stream = this.#connection.open('delta');
    const { endpoints, ...named } = subscriptions;
    this.#asked = endpoints === undefined ? undefined : new Set();
    for (const [type, names] of Object.entries(named) as [ResourceType, readonly string[]][]) {
      this.#stream.delta({ node, typeUrl: typeUrls[type], resourceNamesSubscribe: [...names] });
    }
    void this.#follow();
  }

  /** Names held of a type, sorted. */
  names(type: ResourceType): readonly string[] {
    const prefix = keyOf(type, '');
    const keys = [...this.#held.keys()].filter((key) => key.startsWith(prefix));
    return keys.map((key) => key.slice(prefix.length)).sort();
  }

  /** A resource's bytes as text, in which names and addresses can be found; empty where it holds none. */
  text(type: ResourceType, name: string): string {
    return this.#held.get(keyOf(type, name))?.text ?? '';
  }

  /** Versions by type and name of all that it holds. */
  versions(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#held].map(([key, { version }]) => [key, version]));
  }

  /** All that it holds, version and text, by type and name. */
  contents(): ReadonlyMap<string, string> {
    return new Map([...this.#held].map(([key, { version, text }]) => [key, `${version} ${text}`]));
  }

  /** How often a resource was sent. */
  timesSent(type: ResourceType, name: string): number {
    return this.#sent.get(keyOf(type, name)) ?? 0;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #follow(): Promise<never> {
    for (let read = 0; ; read++) {
      await this.#stream.next(() => this.#stream.received.length > read);
      const message = this.#stream.received[read] as Received;
      this.#apply(message);
      this.#stream.delta({ typeUrl: message.typeUrl, responseNonce: message.nonce });
      if (this.#asked !== undefined && message.typeUrl === typeUrls.cluster)
        this.#askForEndpoints(this.#asked, message);
    }
  }

  /** Asks for those of clusters that have none of their own, and forgets the others': that they are gone is never told. */
  #askForEndpoints(asked: Set<string>, { resources, removed }: Received): void {
    const askFor = [...resources].filter(([name, text]) => findsEndpoints(name, text)).map(([name]) => name);
    const others = [...resources.keys(), ...removed].filter((name) => !askFor.includes(name));
    for (const name of askFor) asked.add(name);
    const forget = others.filter((name) => asked.delete(name));
    for (const name of forget) this.#held.delete(keyOf('endpoint', name));
    if (askFor.length + forget.length === 0) return;
    const typeUrl = typeUrls.endpoint;
    this.#stream.delta({ typeUrl, resourceNamesSubscribe: askFor, resourceNamesUnsubscribe: forget });
  }

  #apply({ typeUrl, resources, versions, removed }: Received): void {
    for (const [name, text] of resources) {
      // Sent before the server heard that nobody asks any more: an Envoy passes over that too.
      if (typeUrl === typeUrls.endpoint && this.#asked?.has(name) === false) continue;
      const key = `${typeUrl} ${name}`;
      this.#held.set(key, { text, version: versions.get(name) ?? '' });
      this.#sent.set(key, (this.#sent.get(key) ?? 0) + 1);
    }
    for (const name of removed) this.#held.delete(`${typeUrl} ${name}`);
  }
}

/** Whether a cluster finds its endpoints by asking: its type, the field after the name, is EDS. */
function findsEndpoints(name: string, text: string): boolean {
  return text.includes(`${name}\u0010\u0003`);
}

function keyOf(type: ResourceType, name: string): string {
  return `${typeUrls[type]} ${name}`;
}
