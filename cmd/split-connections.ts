// Two protocols on one plaintext port: connections that begin as HTTP/2 go elsewhere, all others stay with the server.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** What HTTP/2 without TLS begins with (RFC 9113 section 3.4); no method of HTTP/1 does. */
const preface = 'PRI';
/** Milliseconds in which a connection must say which of them it is, unless told otherwise. */
const defaultSilenceMs = 10_000;

/** Hands connections of HTTP/2 (which gRPC speaks) to `http2` as they were opened. Call it before the server listens. */
export function splitConnections(
  server: Server,
  http2: (socket: Socket) => void,
  silenceMs: number = defaultSilenceMs,
): void {
  const own = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const quit = (): void => {
      socket.destroy();
    };
    const silence = setTimeout(quit, silenceMs);
    socket.on('error', quit);
    let begun = Buffer.alloc(0);
    const look = (): void => {
      begun = Buffer.concat([begun, (socket.read() as Buffer | null) ?? Buffer.alloc(0)]);
      // A first byte alone may begin `POST` as well.
      if (begun.length < preface.length && preface.startsWith(begun.toString('latin1'))) return;
      clearTimeout(silence);
      socket.off('readable', look);
      socket.off('error', quit);
      socket.unshift(begun);
      // Whoever takes it reads on by itself.
      if (begun.toString('latin1', 0, preface.length) === preface) http2(socket);
      else for (const listener of own) listener.call(server, socket);
    };
    socket.on('readable', look);
    socket.once('close', () => clearTimeout(silence));
  });
}
