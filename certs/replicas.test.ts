// Replicas that agree: nobody steps over a lagging, silent, late or new replica, whatever clocks say, and agents' certificates are found.
import { expect, test } from 'vitest';
import { MemoryBoard } from '../test/support/memory-board.ts';
import { makeLedger } from './ledger.ts';
import { formatReport, type Place, parseReport, type ReplicaReport, reportLimits } from './replica-report.ts';
import { type ReplicaBoard, Replicas } from './replicas.ts';
import type { ConnectedAgent } from './rotation-readiness.ts';

const leaseMs = 30_000;
const both: Place = { step: 'trust-both', since: 1, bundleVersion: 'both', signerId: 'old' };
const signing: Place = { ...both, step: 'sign-new', since: 2, signerId: 'new' };

/** Time that passes only when told to. */
const clock = { ms: 0 };

function replica(board: ReplicaBoard, name: string, skewMs = 0) {
  const ledger = makeLedger(1000, () => 0);
  let polls = 0;
  const self = {
    ledger,
    place: both,
    leads: false,
    hasPod: false,
    laggards: [] as readonly string[],
    agents: [] as readonly ConnectedAgent[],
    mayStep: () => false,
    waiting: [] as readonly string[],
    look: async (): Promise<boolean> => {
      const agreement = await replicas.agree(self.place, async () => {
        const laggards = [...self.laggards, ...replicas.seek(self.agents).map((agent) => agent.name)];
        return { laggards, ready: laggards.length === 0 };
      });
      Object.assign(self, agreement);
      return agreement.mayStep();
    },
  };
  const replicas = new Replicas({
    board,
    name,
    leads: () => self.leads,
    hasPod: () => self.hasPod,
    ledger,
    leaseMs,
    monotonic: () => clock.ms + skewMs,
    now: () => 1_700_000_000_000 + clock.ms - 7 * skewMs,
    unique: () => `${name} ${polls++}`,
  });
  return self;
}

type TestReplica = ReturnType<typeof replica>;

/** Some looks of all at their pace; whether the first could step after one. */
async function looks(replicas: readonly TestReplica[], rounds = 4): Promise<boolean> {
  let could = false;
  for (let round = 0; round < rounds; round++) {
    clock.ms += leaseMs / 6;
    for (const each of replicas) could = (await each.look()) || could;
  }
  return could;
}

function trio(): { board: MemoryBoard; a: TestReplica; b: TestReplica; c: TestReplica } {
  const board = new MemoryBoard();
  const [a, b, c] = [replica(board, 'a'), replica(board, 'b', 3_600_000), replica(board, 'c', -7_200_000)];
  a.leads = true;
  return { board, a, b, c };
}

test('one alone steps when it is ready', async () => {
  const a = replica(new MemoryBoard(), 'a');
  a.leads = true;
  expect(await looks([a])).toBe(true);
  a.laggards = ['web'];
  expect(await looks([a])).toBe(false);
});

test('the leader steps, and he only, once all are ready, whatever their clocks say', async () => {
  const { a, b, c } = trio();
  expect(await looks([b, c])).toBe(false);
  expect(await looks([a, b, c])).toBe(true);
  expect(b.mayStep()).toBe(false);
  while (!(await a.look())) await looks([b, c], 1);
  // An agreement does not keep.
  clock.ms += leaseMs;
  expect(a.mayStep()).toBe(false);
});

test('a lagging proxy of another replica is waited for and named', async () => {
  const { a, b, c } = trio();
  await looks([a, b, c]);
  c.laggards = ['web-1', 'web-2'];
  await looks([b, c, a], 1);
  expect(await looks([a, b, c], 20)).toBe(false);
  expect(a.waiting).toEqual(['replica c waits for 2 of its proxies: web-1, web-2']);
  c.laggards = [];
  expect(await looks([a, b, c])).toBe(true);
});

test('a replica at another step, or of another bundle, is waited for', async () => {
  const { a, b, c } = trio();
  await looks([a, b, c]);
  for (const place of [{ ...both, step: 'steady', since: 0 } as const, { ...both, since: 5 }, signing]) {
    b.place = place;
    await looks([b], 1);
    expect(await looks([a, b, c], 10)).toBe(false);
    expect(a.waiting).toEqual(['replica b is not at this step yet']);
  }
});

test('readiness of before the leader asked does not count', async () => {
  const { board, a, b, c } = trio();
  await looks([a, b, c]);
  // b's last word was that all is well; since then it is stuck.
  const last = board.reports.get('b');
  a.place = b.place = c.place = { ...both, since: 9 };
  board.reports.set('b', JSON.stringify({ ...JSON.parse(last ?? ''), ...b.place }));
  expect(await looks([a, c], 5)).toBe(false);
});

test('a dead replica counts until its lease and the time of its proxies are over', async () => {
  const { board, a, b, c } = trio();
  await looks([a, b, c]);
  const died = clock.ms;
  a.place = b.place = signing;
  while (!(await looks([a, b], 1))) expect(clock.ms - died).toBeLessThan(6 * leaseMs);
  expect(clock.ms - died).toBeGreaterThan(4.9 * leaseMs);
  expect([...board.reports.keys()].sort()).toEqual(['a', 'b']);
});

test('one whose Pod is there is waited for as long as that', async () => {
  const { a, b, c } = trio();
  a.hasPod = true;
  await looks([a, b, c]);
  a.place = b.place = signing;
  expect(await looks([a, b], 100)).toBe(false);
  expect(a.waiting).toEqual(['replica c does not report']);
});

test('an outage of the API server is nobody’s silence', async () => {
  const { board, a, b, c } = trio();
  await looks([a, b, c]);
  board.down = true;
  for (let i = 0; i < 100; i++) {
    clock.ms += leaseMs / 6;
    await expect(a.look()).rejects.toThrow('away');
  }
  board.down = false;
  c.laggards = ['web'];
  expect(await a.look()).toBe(false);
  expect(await looks([a, b], 20)).toBe(false);
  expect(board.reports.has('c')).toBe(true);
});

test('a replica that appears in the middle is waited for', async () => {
  const { board, a, b, c } = trio();
  await looks([a, b, c]);
  const late = replica(board, 'd');
  late.laggards = ['web'];
  await late.look();
  expect(await looks([a, b, c, late])).toBe(false);
  late.laggards = [];
  expect(await looks([a, b, c, late])).toBe(true);
});

test('another leader asks anew', async () => {
  const { a, b, c } = trio();
  c.laggards = ['web'];
  await looks([a, b, c]);
  a.leads = false;
  b.leads = true;
  expect(await b.look()).toBe(false);
  c.laggards = [];
  expect(await b.look()).toBe(false);
  expect(await looks([b, a, c])).toBe(true);
});

const identity = { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'web' };
const id = 'spiffe://cluster.local/ns/a/sa/web';
const agent = (i: number): ConnectedAgent => ({
  name: `web-${String(i).padStart(3, '0')}`,
  identity: { ...identity, podUid: `uid-${i}` },
  peer: `10.0.0.${i}:5000`,
});
const issue = (to: TestReplica, i: number, { bundleVersion, signerId }: Place): void =>
  to.ledger.note({
    ...{ identity: id, holder: `uid-${i}`, serial: '1', notBefore: 0, notAfter: 1, bundleVersion, signerId },
  });

test('an agent whose certificate another replica issued is ready, one that has none is not', async () => {
  const { a, b, c } = trio();
  await looks([a, b, c]);
  const count = 3 * reportLimits.asks;
  a.agents = Array.from({ length: count }, (_, i) => agent(i));
  for (let i = 0; i < count; i++) issue(i % 2 === 0 ? b : c, i, both);
  expect(await looks([a, b, c], 40)).toBe(true);
  a.agents = [...a.agents, agent(999)];
  expect(await looks([a, b, c], 40)).toBe(false);
  // The certificate of one step is not that of the next.
  a.agents = [agent(0)];
  for (const each of [a, b, c]) each.place = signing;
  expect(await looks([a, b, c], 10)).toBe(false);
  issue(b, 0, signing);
  expect(await looks([a, b, c], 10)).toBe(true);
});

test('what a replica issued while another was not there yet does not count: that one may have issued since', async () => {
  const { a, b, c } = trio();
  c.place = { ...both, step: 'steady', since: 0 };
  await looks([a, b, c]);
  a.agents = [agent(1)];
  issue(b, 1, both);
  c.place = both;
  expect(await looks([a, b, c], 10)).toBe(false);
  issue(b, 1, both);
  expect(await looks([a, b, c], 10)).toBe(true);
});

test('reports are read back, bounded, and nothing else is taken for one', () => {
  const names = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(1000, 'x'));
  const report: ReplicaReport = {
    ...{ ...both, at: 'now', ready: false, lagging: 1000, first: names, poll: '', answers: [], issued: [] },
    asks: names.map((holder) => ({ identity: id, holder: holder.slice(0, 40) })),
  };
  const text = formatReport(report);
  expect(text.length).toBeLessThan(10_000);
  expect(parseReport(text)).toMatchObject({ ...both, lagging: 1000 });
  const others = ['', 'null', '[]', '{}', '7', '{"step":"steady"}', text.replace('"asks":[{', '"asks":[null,{')];
  for (const bad of [...others, text.replace('trust-both', 'x'), text.replace('"first":[', '"first":[1,')]) {
    expect([bad.slice(0, 20), parseReport(bad)]).toEqual([bad.slice(0, 20), undefined]);
  }
});
