// What is logged of findings: each once, the rest counted, and that something is mended.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { errorOf, warningOf } from '../config/diagnostic.ts';
import { Store } from '../config/store.ts';
import { logFindings } from './finding-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const lines: string[] = [];
  const put =
    (level: string) =>
    (...args: readonly unknown[]) =>
      lines.push(`${level} ${args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))).join(' ')}`);
  const store = new Store();
  const log = { info: put('info'), warn: put('warn'), error: put('error') } as never;
  return { lines, log, store, sink: store.sinkOf('test') };
}

const at = { object: { kind: 'Sidecar', namespace: 'a', name: 'b' } };

test('a finding is logged when it appears, not again, and its end once', () => {
  const { lines, log, store, sink } = world();
  using _log = logFindings(store, log);
  const error = errorOf('wrong-type', 'must be a list', at);
  sink.report('u', [error]);
  sink.report('u', [{ ...error }]);
  sink.report('u', [error, warningOf('kept-last-good', 'kept', at)]);
  sink.report('u', []);
  sink.report('u', []);
  expect(lines).toEqual([
    'error {"code":"wrong-type"} error[wrong-type] Sidecar a/b: must be a list',
    'warn {"code":"kept-last-good"} warning[kept-last-good] Sidecar a/b: kept',
    'info {"unit":"u"} mended',
  ]);
});

test('what was found before is logged first', () => {
  const { lines, log, store, sink } = world();
  const error = errorOf('wrong-type', 'must be a list', at);
  sink.report('u', [error]);
  using _log = logFindings(store, log);
  sink.report('u', [error]);
  expect(lines).toEqual(['error {"code":"wrong-type"} error[wrong-type] Sidecar a/b: must be a list']);
});

test('many findings of one unit, and of many units, are counted', () => {
  const { lines, log, store, sink } = world();
  using _log = logFindings(store, log);
  const many = Array.from({ length: 30 }, (_, i) => warningOf('unknown-field', `field ${i}`));
  sink.report('one', many);
  expect(lines.length).toBe(21);
  expect(lines.at(-1)).toBe('warn {"unit":"one","more":10} more findings');
  for (let i = 0; i < 200; i++) sink.report(`unit ${i}`, [warningOf('unknown-field', 'field')]);
  expect(lines.length).toBe(100);
  vi.advanceTimersByTime(1_000);
  expect(lines.at(-1)).toBe('warn 121 more lines about findings: see meltemi status');
  sink.report('later', [warningOf('unknown-field', 'field')]);
  expect(lines.length).toBe(102);
});
