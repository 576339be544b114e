// The webhooks of a whole control plane answer with its certificate, which its root vouches for.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { compose } from './compose.ts';
import { createLogger } from './log.ts';
import { planeWebhooks } from './plane-webhooks.ts';
import { readSettings } from './settings.ts';

test('are open where an address is given, and known to the root', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plane-'));
  try {
    const options = { configDir: folder, stateDir: join(folder, 'state'), httpsAddr: '127.0.0.1:0' };
    const log = createLogger('silent');
    await using plane = await compose({ settings: readSettings(options, [], {}).settings, log, version: 'test' });
    await using webhooks = planeWebhooks(plane, log);
    expect(webhooks.ready()).toBe(false);
    plane.store.sinkOf('test').status({ synced: true, connected: true, since: 0 });
    expect(webhooks.ready()).toBe(true);
    const port = await webhooks.open();
    const isTrusted = await new Promise((resolve, reject) => {
      const ca = plane.identity.roots.current();
      const at = { host: '127.0.0.1', port: port ?? 0, ca, servername: 'istiod.istio-system.svc' };
      const socket = connect(at, () => {
        resolve(socket.authorized);
        socket.end();
      });
      socket.on('error', reject);
    });
    expect(isTrusted).toBe(true);
    expect(await plane.metrics.registry.metrics()).toContain('sidecar_injection_requests_total');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
