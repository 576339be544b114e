// The webhooks of a whole control plane answer with its certificate, which its root vouches for.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { validate } from '../config/validate.ts';
import { compose } from './compose.ts';
import { createLogger } from './log.ts';
import { planeWebhooks, wholeReadiness } from './plane-webhooks.ts';
import { readSettings } from './settings.ts';

test('a control plane whose injector never had usable settings is not ready, and has the reason among its findings', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plane-'));
  try {
    const log = createLogger('silent');
    const options = { configDir: folder, stateDir: join(folder, 'state'), httpsAddr: '127.0.0.1:0' };
    await using plane = await compose({ settings: readSettings(options, [], {}).settings, log, version: 'test' });
    const put = (config: string): void => {
      const metadata = { name: 'istio-sidecar-injector', namespace: 'istio-system' };
      const { object } = validate({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { config } });
      if (object === undefined) throw new Error('no ConfigMap');
      plane.store.sinkOf('test').apply([{ kind: 'ConfigMap', key: 'istio-system/istio-sidecar-injector', object }]);
    };
    plane.store.sinkOf('test').status({ synced: true, connected: true, since: 0 });
    put('templates: {mine: "{{ .Name }}"}');
    await using webhooks = planeWebhooks(plane, log);
    const reason = expect.stringMatching(/^the injector has no settings: .*template "mine" is not built in/);
    expect(wholeReadiness(plane, webhooks, '')).toEqual({ ready: false, reason });
    expect(plane.store.findings().map(({ code }) => code)).toEqual(['invalid-value']);
    put('policy: enabled');
    expect(wholeReadiness(plane, webhooks, '')).toEqual({ ready: true, reason: '' });
    expect(plane.store.findings()).toEqual([]);
    put('policy: [');
    expect(wholeReadiness(plane, webhooks, '')).toEqual({ ready: true, reason: '' });
    expect(plane.store.findings().map(({ code }) => code)).toEqual(['yaml-syntax', 'kept-last-good']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('are open where an address is given, and known to the root', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plane-'));
  try {
    const options = { configDir: folder, stateDir: join(folder, 'state'), httpsAddr: '127.0.0.1:0' };
    const log = createLogger('silent');
    await using plane = await compose({ settings: readSettings(options, [], {}).settings, log, version: 'test' });
    await using webhooks = planeWebhooks(plane, log);
    expect(wholeReadiness(plane, webhooks, '').ready).toBe(false);
    plane.store.sinkOf('test').status({ synced: true, connected: true, since: 0 });
    expect(wholeReadiness(plane, webhooks, 'its ports')).toEqual({ ready: false, reason: 'waiting for its ports' });
    expect(wholeReadiness(plane, webhooks, '').ready).toBe(true);
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
