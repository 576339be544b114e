// What is logged of sources: each loss once with its reason, its end once, and bounded lines whatever flaps.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followHealth } from '../config/sources/kube-health.ts';
import { Store } from '../config/store.ts';
import { logSources } from './source-log.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function world(kinds: readonly string[]) {
  const lines: string[] = [];
  const put =
    (level: string) =>
    (fields: object, message: string): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const store = new Store();
  const log = logSources(store, { info: put('info'), warn: put('warn') } as never, Date.now);
  const report = followHealth(kinds, Date.now, store.sinkOf('kubernetes').status);
  const lost = (kind: string, message: string, synced = true) => report(kind, { synced, connected: false, message });
  const good = (kind: string) => report(kind, { synced: true, connected: true, message: '' });
  return { lines, log, store, lost, good, pass: (ms: number) => vi.advanceTimersByTime(ms) };
}

test('a loss is told once with its kinds and reason, and so is its end', () => {
  const { lines, log, lost, good, pass } = world(['Node', 'Pod', 'Secret']);
  using _log = log;
  pass(5_000);
  expect(lines).toEqual([]);
  for (const kind of ['Pod', 'Secret']) good(kind);
  lost('Node', '403 nodes is forbidden', false);
  lost('Node', '403 nodes is forbidden', false);
  pass(1_000);
  expect(lines.splice(0)).toEqual([
    'warn out of touch: 403 nodes is forbidden {"source":"kubernetes","parts":["Node"]}',
  ]);
  for (const kind of ['Pod', 'Secret']) lost(kind, 'connection refused');
  pass(120_000);
  expect(lines.splice(0)).toEqual([
    'warn out of touch: connection refused {"source":"kubernetes","parts":["Pod","Secret"]}',
  ]);
  for (const kind of ['Pod', 'Secret']) good(kind);
  pass(1_000);
  good('Node');
  pass(1_000);
  expect(lines).toEqual([
    'info in part in touch again {"source":"kubernetes","parts":["Pod","Secret"],"seconds":121,"left":1}',
    'info in touch again {"source":"kubernetes","parts":["Node"],"seconds":128,"left":0}',
  ]);
});

test('what is over within a moment is not told, and what flaps once a minute', () => {
  const { lines, log, lost, good, pass } = world(['Pod']);
  using _log = log;
  good('Pod');
  lost('Pod', 'cut');
  good('Pod');
  pass(1_000);
  expect(lines).toEqual([]);
  for (let i = 0; i < 50; i++) {
    lost('Pod', 'cut');
    pass(1_000);
    good('Pod');
    pass(1_000);
  }
  expect(lines.splice(0).map((line) => line.split(' ')[0])).toEqual(['warn', 'info', 'warn', 'info']);
  lost('Pod', 'cut');
  pass(1_000);
  expect(lines).toEqual([]);
  pass(120_000);
  expect(lines).toEqual(['warn out of touch: cut {"source":"kubernetes","parts":["Pod"]}']);
});

test('many reasons at once are counted', () => {
  const kinds = Array.from({ length: 30 }, (_, i) => `Kind${i}`);
  const { lines, log, lost, pass } = world(kinds);
  using _log = log;
  for (const kind of kinds) lost(kind, `403 ${kind} is forbidden`, false);
  pass(1_000);
  expect(lines.length).toBe(11);
  expect(lines.at(-1)).toBe('warn out of touch for more reasons: see meltemi status {"source":"kubernetes","more":20}');
});

test('a source without parts', () => {
  const { lines, log, store, pass } = world([]);
  using _log = log;
  const sink = store.sinkOf('files');
  sink.status({ synced: true, connected: false, since: 0, message: 'the folder is gone' });
  pass(2_000);
  sink.status({ synced: true, connected: true, since: 2_000 });
  pass(1_000);
  expect(lines).toEqual([
    'warn out of touch: the folder is gone {"source":"files"}',
    'info in touch again {"source":"files","seconds":3,"left":0}',
  ]);
});
