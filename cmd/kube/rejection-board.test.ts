// Replicas that share what their proxies reject, with a clock of the test's: who writes and reads when, who is forgotten, what is cut.
import { afterEach, describe, expect, test } from 'vitest';
import { FakeClock, settled } from '../../test/support/fake-clock.ts';
import { MemoryBoard } from '../../test/support/memory-board.ts';
import { rejectedObjects } from './rejected-objects.ts';
import type { RejectedResource, RejectionReport } from './rejected-resources.ts';
import { RejectionBoard } from './rejection-board.ts';
import { formatRejections, parseRejections, roomFor } from './rejection-report.ts';

const leaseMs = 30_000;
/** A round at most, and what it does. */
const roundMs = (leaseMs / 10) * 1.5;

const resource = (name: string, proxies = 1, reason = 'bad'): RejectedResource => ({
  ...{ type: 'listener', name, reason, proxies },
  objects: ['Gateway a/g'],
  others: 0,
});
const nothing: RejectionReport = { resources: [], more: 0 };
const rejects = (...names: readonly string[]): RejectionReport => ({
  resources: names.map((n) => resource(n)),
  more: 0,
});

const running: RejectionBoard[] = [];
afterEach(async () => {
  for (const board of running.splice(0)) await board[Symbol.asyncDispose]();
});

async function replica(board: MemoryBoard, clock: FakeClock, name: string, skewMs = 0) {
  const self = { own: nothing, outcomes: [] as string[], logged: [] as string[] };
  const shared = new RejectionBoard({
    ...{ board, name, leaseMs, sleep: clock.sleep },
    own: () => self.own,
    monotonic: () => clock.now + skewMs,
    now: () => 1_700_000_000_000 + clock.now - 7 * skewMs,
    random: () => 0.5,
    count: (outcome) => self.outcomes.push(outcome),
    log: (message) => self.logged.push(message),
  });
  running.push(shared);
  await settled();
  const told = () => rejectedObjects(shared.reports()).get('Gateway a/g') ?? '';
  return Object.assign(self, { shared, told });
}

async function pair() {
  const [board, clock] = [new MemoryBoard(), new FakeClock()];
  const a = await replica(board, clock, 'a');
  const b = await replica(board, clock, 'b', 3_600_000);
  await a.shared.lead(true);
  return { board, clock, a, b };
}

describe('a leader', () => {
  test('hears of the rejections of the others, and when they end', async () => {
    const { board, clock, a, b } = await pair();
    a.own = rejects('l1');
    b.own = rejects('l1', 'l2');
    await clock.pass(2 * roundMs);
    expect(a.told()).toBe('listener l1 is rejected by 2 proxies: bad; so is 1 more resource');
    expect([a.shared.heard, b.shared.heard]).toEqual([1, undefined]);
    b.own = nothing;
    await clock.pass(2 * roundMs);
    expect(a.told()).toBe('listener l1 is rejected by 1 proxy: bad');
    expect([...board.reports.keys()]).toEqual(['a']);
  });

  test('forgets a replica that dies, after the lease and not before, and takes its report away', async () => {
    const { board, clock, a, b } = await pair();
    b.own = rejects('l');
    await clock.pass(2 * roundMs);
    await b.shared[Symbol.asyncDispose]();
    await clock.pass(leaseMs / 2);
    expect(a.told()).toBe('listener l is rejected by 1 proxy: bad');
    await clock.pass(leaseMs / 2 + roundMs);
    expect(a.told()).toBe('');
    expect(board.reports.size).toBe(0);
  });

  test('keeps one that renews its report for as long as it does', async () => {
    const { clock, a, b } = await pair();
    b.own = rejects('l');
    await clock.pass(2 * roundMs);
    for (let i = 0; i < 100; i++) {
      await clock.pass(leaseMs / 7);
      expect(a.told()).toBe('listener l is rejected by 1 proxy: bad');
    }
  });

  test('that is new knows the others at once, and what the dead one reported for a lease', async () => {
    const { clock, a, b } = await pair();
    a.own = rejects('l1');
    b.own = rejects('l2');
    await clock.pass(2 * roundMs);
    await a.shared[Symbol.asyncDispose]();
    await clock.pass(leaseMs);
    await b.shared.lead(true);
    expect(b.told()).toContain('listener l1 is rejected by 1 proxy: bad; so is 1 more resource');
    await clock.pass(leaseMs + roundMs);
    expect(b.told()).toBe('listener l2 is rejected by 1 proxy: bad');
  });

  test('does not wait for ever to hear of the others', async () => {
    const { board, b } = await pair();
    board.down = true;
    await b.shared.lead(true);
    expect(b.outcomes).toEqual(['failed']);
  });

  test('that cannot read for a while forgets nobody for that', async () => {
    const { board, clock, a, b } = await pair();
    b.own = rejects('l');
    await clock.pass(2 * roundMs);
    board.down = true;
    await clock.pass(5 * leaseMs);
    expect(a.told()).toContain('l is rejected');
    expect(a.logged).toEqual(['rejections cannot be shared with other replicas: away']);
    board.down = false;
    await clock.pass(2 * roundMs);
    expect(a.told()).toContain('l is rejected');
  });

  test('passes over what it cannot read', async () => {
    const { board, clock, a } = await pair();
    for (const text of ['', 'x', '2026 {}', '2026 {"more":0,"resources":[{}]}', `2026 ${'['.repeat(30_000)}`]) {
      board.reports.set('c', text);
      await clock.pass(roundMs);
      expect(a.shared.reports()).toEqual([nothing]);
    }
  });
});

describe('writes', () => {
  test('there are none, and no reads but the leader’s, while nothing is rejected', async () => {
    const { board, clock, a } = await pair();
    await a.shared.lead(false);
    const { reads } = board;
    await clock.pass(100 * leaseMs);
    expect([board.reads, board.writes]).toEqual([reads, 0]);
  });

  test('renew what stays the same three times in a lease', async () => {
    const { board, clock, b } = await pair();
    b.own = rejects('l');
    await clock.pass(2 * roundMs);
    const { writes } = board;
    await clock.pass(10 * leaseMs);
    expect(board.writes - writes).toBeGreaterThanOrEqual(20);
    expect(board.writes - writes).toBeLessThanOrEqual(30);
  });

  test('take away what a process of the same name left', async () => {
    const [board, clock] = [new MemoryBoard(), new FakeClock()];
    board.reports.set('a', `2026 ${formatRejections(rejects('l'), 20_000)}`);
    await replica(board, clock, 'a');
    expect(board.reports.size).toBe(0);
  });

  test('bring back a report that was taken away', async () => {
    const { board, clock, b } = await pair();
    b.own = rejects('l');
    await clock.pass(2 * roundMs);
    board.reports.delete('b');
    await clock.pass(roundMs);
    expect(board.reports.has('b')).toBe(true);
  });

  test('that fail are counted, told once, and tried again', async () => {
    const { board, clock, a, b } = await pair();
    board.down = true;
    b.own = rejects('l');
    await clock.pass(4 * roundMs);
    expect(b.logged.length).toBe(1);
    expect(b.outcomes.length).toBeGreaterThan(3);
    expect(new Set(b.outcomes)).toEqual(new Set(['failed']));
    board.down = false;
    await clock.pass(2 * roundMs);
    expect(b.outcomes.at(-1)).toBe('written');
    expect(a.told()).toContain('l is rejected');
  });
});

describe('the size', () => {
  const large: RejectionReport = {
    resources: Array.from({ length: 1_000 }, (_, i) => resource(`l${String(i).padStart(4, '0')}`, 1, 'ü'.repeat(300))),
    more: 0,
  };

  test('of a report is bounded in bytes, and the status tells that it was cut', async () => {
    const { board, clock, a, b } = await pair();
    b.own = large;
    await clock.pass(2 * roundMs);
    expect(Buffer.byteLength(board.reports.get('b') ?? '')).toBeLessThanOrEqual(20_000);
    expect(Buffer.byteLength(board.reports.get('b') ?? '')).toBeGreaterThan(18_000);
    expect(a.told()).toMatch(
      /^listener l0000 .*\(reports of rejections were cut: at least 900 rejected resources left out\)$/,
    );
  });

  test('of all reports together stays below what an object may hold, however many replicas there are', async () => {
    const [board, clock] = [new MemoryBoard(), new FakeClock()];
    for (let i = 0; i < 60; i++) {
      (await replica(board, clock, `istiod-${i}`)).own = large;
      await clock.pass(roundMs);
    }
    const together = () => [...board.reports].reduce((sum, entry) => sum + Buffer.byteLength(entry.join()), 0);
    await clock.pass(leaseMs);
    expect(board.reports.size).toBe(60);
    expect(together()).toBeLessThan(220_000);
    expect(roomFor(0)).toBe(20_000);
  });

  test('leaves what is written readable', () => {
    const text = formatRejections({ resources: [resource('l', 7, 'ä "quoted"')], more: 3 }, 20_000) ?? '';
    expect(parseRejections(text)).toEqual({ resources: [resource('l', 7, 'ä "quoted"')], more: 3 });
    expect(formatRejections(nothing, 20_000)).toBeUndefined();
    expect(formatRejections(rejects('l'), 0)).toBe('{"more":1,"resources":[]}');
    expect(parseRejections(text.replace('Gateway', 'Nothing'))).toBeUndefined();
    expect(parseRejections(text.replace('ä', '\\u001b'))?.resources[0]?.reason).toBe('  "quoted"');
  });
});
