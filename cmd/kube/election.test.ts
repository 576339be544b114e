// Elections among candidates with clocks of their own, over an API server's rules for writing a Lease.
import { expect, test } from 'vitest';
import type { KubeAnswer, KubeApi } from '../../config/sources/kube-api.ts';
import { FakeClock, settled } from '../../test/support/fake-clock.ts';
import { standForElection } from './election.ts';

const durationMs = 30_000;

/** One Lease with optimistic locking; `down` refuses connections. */
class LeaseServer {
  lease: { metadata: { resourceVersion: string }; spec: { holderIdentity: string } } | undefined;
  down = false;
  #version = 0;

  readonly send: KubeApi['send'] = async (method, path, body): Promise<KubeAnswer> => {
    if (this.down) throw new Error('connection refused');
    if (method === 'GET')
      return this.lease === undefined ? { status: 404, body: {} } : { status: 200, body: structuredClone(this.lease) };
    const given = body as NonNullable<LeaseServer['lease']>;
    const current = this.lease?.metadata.resourceVersion;
    if (method === 'POST' && current !== undefined) return { status: 409, body: {} };
    if (method === 'PUT' && given.metadata.resourceVersion !== current) return { status: 409, body: {} };
    expect(path.endsWith('/leases') === (method === 'POST')).toBe(true);
    this.lease = { ...given, metadata: { ...given.metadata, resourceVersion: String(++this.#version) } };
    return { status: method === 'POST' ? 201 : 200, body: this.lease };
  };
}

async function stand(server: LeaseServer, clock: FakeClock, holder: string, skewMs = 0) {
  const stop = new AbortController();
  const candidate = { leading: false, changes: 0, running: Promise.resolve(), stop: () => stop.abort() };
  candidate.running = standForElection(
    {
      api: { send: (...call) => server.send(...call) },
      namespace: 'istio-system',
      name: 'lock',
      holder,
      durationMs,
      sleep: clock.sleep,
      monotonic: () => clock.now + skewMs,
      now: () => 1_700_000_000_000 + clock.now + skewMs,
      changed: (leading) => {
        candidate.leading = leading;
        candidate.changes++;
      },
      log: () => undefined,
    },
    stop.signal,
  );
  await settled();
  return candidate;
}

test('the first leads, the second waits, whatever their clocks say', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const a = await stand(server, clock, 'a');
  const b = await stand(server, clock, 'b', 3_600_000);
  await clock.pass(10 * 60_000);
  expect([a.leading, b.leading, a.changes, b.changes]).toEqual([true, false, 1, 0]);
});

test('a leader that stops hands over before its Lease would have expired', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const a = await stand(server, clock, 'a');
  const b = await stand(server, clock, 'b');
  a.stop();
  await a.running;
  expect(a.leading).toBe(false);
  await clock.pass(durationMs / 4 + 500);
  expect(b.leading).toBe(true);
});

test('a leader that dies is replaced after the duration, not before', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  await server.send('POST', '/leases', { metadata: {}, spec: { holderIdentity: 'dead', leaseDurationSeconds: 30 } });
  const b = await stand(server, clock, 'b');
  await clock.pass(durationMs - 1_000);
  expect(b.leading).toBe(false);
  await clock.pass(durationMs / 4 + 1_000);
  expect(b.leading).toBe(true);
});

test('a replica that comes back under its name leads at once', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  await server.send('POST', '/leases', { metadata: {}, spec: { holderIdentity: 'a', leaseDurationSeconds: 30 } });
  expect((await stand(server, clock, 'a')).leading).toBe(true);
});

test('a leader that cannot renew steps down before another may take over, and there are never two', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const a = await stand(server, clock, 'a');
  const healthy = server.send;
  // Only a's connection is down: b sees the Lease age.
  const cut = { down: false };
  const seenByA: KubeApi['send'] = async (...call) => {
    if (cut.down) throw new Error('connection refused');
    return healthy(...call);
  };
  a.stop();
  await a.running;
  const cutOff = await stand(Object.assign(Object.create(server) as LeaseServer, { send: seenByA }), clock, 'a2');
  await clock.pass(durationMs);
  expect(cutOff.leading).toBe(true);
  const b = await stand(server, clock, 'b');
  cut.down = true;
  for (let i = 0; i < 200; i++) {
    await clock.pass(500);
    expect(cutOff.leading && b.leading).toBe(false);
  }
  expect([cutOff.leading, b.leading]).toEqual([false, true]);
});

test('of two that find no Lease one creates it', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const both = await Promise.all([stand(server, clock, 'a'), stand(server, clock, 'b')]);
  await settled();
  expect(both.filter(({ leading }) => leading).length).toBe(1);
});
