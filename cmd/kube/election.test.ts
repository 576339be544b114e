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

/** The way of one candidate to the server. While `hangs`, requests that it accepts are answered when it ends, or never. */
class Line {
  hangs = false;
  readonly given: { readonly method: string; readonly signal: AbortSignal | undefined }[] = [];
  readonly #server: LeaseServer;
  readonly #heeds: boolean;

  /** `heeds`: a request whose signal aborts is rejected; otherwise it just never ends. */
  constructor(server: LeaseServer, heeds: boolean) {
    this.#server = server;
    this.#heeds = heeds;
  }

  readonly send: KubeApi['send'] = (...call) => {
    const [method, , , , signal] = call;
    this.given.push({ method, signal });
    if (!this.hangs) return this.#server.send(...call);
    return new Promise((_, reject) => {
      if (this.#heeds) signal?.addEventListener('abort', () => reject(new Error('stopped')));
    });
  };
}

async function stand(server: Pick<LeaseServer, 'send'>, clock: FakeClock, holder: string, skewMs = 0) {
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

test.each([true, false])(
  'a leader whose requests hang ends before another begins; they heed their signals: %s',
  async (heeds) => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const line = new Line(server, heeds);
    const a = await stand(line, clock, 'a');
    const b = await stand(server, clock, 'b');
    await clock.pass(durationMs);
    expect(a.leading).toBe(true);
    line.hangs = true;
    const begun = clock.now;
    let ended = 0;
    for (let i = 0; i < 2 * (durationMs / 500); i++) {
      await clock.pass(500);
      if (!a.leading && ended === 0) ended = clock.now - begun;
      expect(a.leading && b.leading).toBe(false);
    }
    // The last renewal was a third of the duration before at most.
    expect(ended).toBeGreaterThan(durationMs * (0.65 - 1 / 3) - 1);
    expect(ended).toBeLessThanOrEqual(durationMs * 0.65 + 500);
    expect([a.leading, b.leading, a.changes, b.changes]).toEqual([false, true, 2, 1]);
    // None is waited for longer than an attempt takes.
    const open = line.given.filter(({ signal }) => signal?.aborted !== true);
    expect([open.length <= 1, line.given.length > 3]).toEqual([true, true]);
    line.hangs = false;
    b.stop();
    await b.running;
    await clock.pass(durationMs);
    expect(a.leading).toBe(true);
  },
);

test('one attempt that hangs, or several that are refused, cost a leader nothing', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const line = new Line(server, true);
  const a = await stand(line, clock, 'a');
  for (const trouble of ['hangs', 'down'] as const) {
    const at = line.given.length;
    if (trouble === 'hangs') line.hangs = true;
    else server.down = true;
    for (let i = 0; i < durationMs / 500 && line.given.length === at; i++) await clock.pass(500);
    await clock.pass(trouble === 'hangs' ? 1_000 : 8_000);
    line.hangs = false;
    server.down = false;
    await clock.pass(2 * durationMs);
    expect([a.leading, a.changes]).toEqual([true, 1]);
  }
});

test('an answer to a process that stood still meanwhile makes it no leader', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  let stall = 0;
  const stalled: KubeApi['send'] = async (...call) => {
    const answer = await server.send(...call);
    clock.now += stall;
    return answer;
  };
  stall = durationMs / 2;
  const a = await stand({ send: stalled }, clock, 'a');
  expect([server.lease?.spec.holderIdentity, a.leading]).toEqual(['a', false]);
  stall = 0;
  await clock.pass(durationMs);
  expect(a.leading).toBe(true);
});

test('a leader whose own write came late after all stays one', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  let late: (() => Promise<unknown>) | undefined;
  let hangs = false;
  const send: KubeApi['send'] = async (...call) => {
    const [method] = call;
    if (method === 'PUT' && hangs) {
      hangs = false;
      late = () => server.send(...call);
      return new Promise(() => undefined);
    }
    const answer = await server.send(...call);
    // It arrives between the next attempt's reading and writing.
    if (method === 'GET' && late !== undefined) {
      await late();
      late = undefined;
    }
    return answer;
  };
  const a = await stand({ send }, clock, 'a');
  hangs = true;
  await clock.pass(3 * durationMs);
  expect([hangs, late, a.leading, a.changes]).toEqual([false, undefined, true, 1]);
});

test.each([
  ['while its requests hang', 11_000],
  ['between two of them', 1_000],
])('a server that hangs holds up the end for three seconds at most: told to stop %s', async (_, passes) => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const line = new Line(server, false);
  const a = await stand(line, clock, 'a');
  line.hangs = true;
  await clock.pass(passes);
  let ended = false;
  void a.running.then(() => {
    ended = true;
  });
  a.stop();
  await clock.pass(2_500);
  expect(ended).toBe(false);
  await clock.pass(1_000);
  await settled();
  expect([ended, a.leading]).toEqual([true, false]);
});

test('what is under way when told to stop is waited for, and the Lease then given back', async () => {
  const [server, clock] = [new LeaseServer(), new FakeClock()];
  const send: KubeApi['send'] = async (...call) => {
    if (clock.now > 5_000) await clock.sleep(500, new AbortController().signal);
    return server.send(...call);
  };
  const a = await stand({ send }, clock, 'a');
  await clock.pass(durationMs / 3);
  a.stop();
  await clock.pass(3_000);
  await a.running;
  expect([a.leading, server.lease?.spec.holderIdentity]).toEqual([false, '']);
});
