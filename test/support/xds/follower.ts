// A proxy on one delta stream over gRPC that acknowledges everything and keeps what it was sent.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ResourceType, typeUrls } from '../../../discovery/xds-types.ts';
import type { NodeSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.ts';
import type { Received } from './client.ts';
import { connect, type GrpcConnection, type GrpcStream } from './grpc-client.ts';

/** Names by type; `*` subscribes to everything of a type. */
export type Subscriptions = Partial<Readonly<Record<ResourceType, readonly string[]>>>;

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

  constructor(address: string, node: MessageInitShape<typeof NodeSchema>, subscriptions: Subscriptions) {
    this.#connection = connect(address);
    this.#stream = this.#connection.open('delta');
    for (const [type, names] of Object.entries(subscriptions) as [ResourceType, readonly string[]][]) {
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
    }
  }

  #apply({ typeUrl, resources, versions, removed }: Received): void {
    for (const [name, text] of resources) {
      const key = `${typeUrl} ${name}`;
      this.#held.set(key, { text, version: versions.get(name) ?? '' });
      this.#sent.set(key, (this.#sent.get(key) ?? 0) + 1);
    }
    for (const name of removed) this.#held.delete(`${typeUrl} ${name}`);
  }
}

function keyOf(type: ResourceType, name: string): string {
  return `${typeUrls[type]} ${name}`;
}
