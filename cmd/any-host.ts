// The host that stands for all addresses of this machine.
import { createServer } from 'node:net';

/** In the form in which it stands before a port. */
export type AnyHost = '[::]' | '0.0.0.0';

/** `[::]`, which takes IPv4 too, where this machine has IPv6; as Go listens at `:15010`. */
export function anyHost(): Promise<AnyHost> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve('0.0.0.0'));
    server.listen(0, '::', () => server.close(() => resolve('[::]')));
  });
}
