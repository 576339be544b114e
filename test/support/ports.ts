// Free ports below the range that outgoing connections take, so that a server can come back on the port it had.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const [first, last] = [18_000, 32_000];
/** Vitest's workers draw from ranges of their own, this many: who asks for a port listens on it only later. */
const rangeCount = 4;
const drawn = new Set<number>();

/**
 * A TCP port of this address that nobody listens on now, and that this process did not look at before. Linux gives outgoing
 * connections 32768 and more.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const size = (last - first) / rangeCount;
  const start = first + (Number(process.env['VITEST_POOL_ID'] ?? 0) % rangeCount) * size;
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(start, start + size);
    if (drawn.has(port)) continue;
    drawn.add(port);
    if (await canListen(host, port)) return port;
  }
  throw new Error(`no free port on ${host} between ${start} and ${start + size}`);
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
