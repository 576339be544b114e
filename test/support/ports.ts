// Free ports below the range that outgoing connections take, so that a server can come back on the port it had.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** A TCP port of this address that nobody listens on now. Linux gives outgoing connections 32768 and more. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(18_000, 32_000);
    if (await canListen(host, port)) return port;
  }
  throw new Error(`no free port on ${host} between 18000 and 32000`);
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
