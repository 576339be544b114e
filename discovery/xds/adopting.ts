// Connections that another port accepted, served like those of an own one, and ended like them.
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Connections of another port. */
export interface Adopting {
  readonly accept: (connection: Duplex) => void;
  /** Ends calls gracefully for `graceMs`, then for good. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** What grpc-js does with single connections. */
export interface ConnectionServer {
  readonly injectConnection: (connection: Duplex) => void;
  /** Asks clients to go. */
  readonly drain: (graceMs: number) => void;
  /** Cuts those off that stayed. */
  readonly end: () => void;
}

/** Keeps count of connections: grpc-js says that a server has shut down while connections of another port are open. */
export function adopting(server: ConnectionServer): Adopting {
  const open = new Set<Duplex>();
  return {
    accept: (connection) => {
      open.add(connection);
      connection.once('close', () => open.delete(connection));
      server.injectConnection(connection);
    },
    close: async (graceMs) => {
      const stop = new AbortController();
      server.drain(graceMs);
      const gone = Promise.all(
        [...open].map((connection) => new Promise((resolve) => connection.once('close', resolve))),
      );
      const late = sleep(graceMs, undefined, { signal: stop.signal }).catch(() => undefined);
      await Promise.race([gone, late]);
      stop.abort();
      server.end();
    },
  };
}
