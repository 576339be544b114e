// What a Kubernetes Service is to its clients: one address in front of replicas, where a new connection goes to a live one.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `host:port` of a replica. */
type Target = string;

/**
 * Relays TCP. A connection goes to the first of `targets` that accepts it, stays there, and ends when either side ends it.
 * The order is fixed, so that a test knows who serves whom.
 */
export class ServiceRelay implements AsyncDisposable {
  /** For connections that come; those that are there stay where they are. */
  targets: readonly Target[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((client) => void this.#relay(client));
  }

  /** Listens on a free port of the address. */
  static async start(address: string): Promise<ServiceRelay> {
    const relay = new ServiceRelay();
    relay.#server.listen(0, address);
    await once(relay.#server, 'listening');
    return relay;
  }

  /** `host:port` where clients connect. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #relay(client: Socket): Promise<void> {
    this.#keep(client);
    for (const target of this.targets) {
      const replica = await connectTo(target);
      if (replica === undefined) continue;
      this.#keep(replica);
      // Also where the client has gone meanwhile.
      if (client.destroyed) replica.destroy();
      client.once('close', () => replica.destroy());
      replica.once('close', () => client.destroy());
      client.pipe(replica).pipe(client);
      return;
    }
    client.resetAndDestroy();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** The connection; undefined where nobody accepts it. */
function connectTo(target: Target): Promise<Socket | undefined> {
  const at = target.lastIndexOf(':');
  const socket = connect(Number(target.slice(at + 1)), target.slice(0, at));
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
