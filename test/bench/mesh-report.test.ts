// That the table of the mesh benchmark takes the right figures, and says which goals are missed.
import { expect, test } from 'vitest';
import { formatTable, medianOf, rowsOf, type Sample } from './mesh-report.ts';

function sample(factor: number): Sample {
  const each = { p50_ms: 10 * factor, p99_ms: 0, max_ms: 0 };
  return {
    readyMs: 1000 * factor,
    report: {
      connect_all_s: 4 * factor,
      refused_and_retried: 0,
      initial_MiB: 1,
      endpoint_change_last_stream: each,
      route_change_last_stream: { ...each, p50_ms: 300 * factor },
      cpu_s: { connect: 2, endpoint_change_each: 0.01, route_change_each: 0.05 },
      rss_MiB: { before: 1, connected: 200 * factor, end: 3 },
    },
  };
}

test('the middle of several', () => {
  expect(medianOf([3, 1, 2])).toBe(2);
  expect(medianOf([4, 1, 2, 3])).toBe(2.5);
  expect(medianOf([])).toBeNaN();
});

test('rows show medians, every run, and what is missed', () => {
  const samples = [sample(1), sample(0.5), sample(2)];
  const lines = formatTable(rowsOf({ unscoped: samples, scoped: [sample(1)], streams: [100, 1000] })).split('\n');
  expect(lines).toContain('| unscoped, 100 sidecars: all configured | 12-26 s | ≤ 5 s | 4 s | 4, 2, 8 |');
  expect(lines).toContain(
    '| unscoped, 100 sidecars: one VirtualService changes, the last stream has it | 2,200 ms | ≤ 220 ms | 300 ms (missed) | 300, 150, 600 |',
  );
  expect(lines).toContain('| scoped, 1000 sidecars: memory then | 356 MiB | ≤ 250 MiB | 200 MiB | 200 |');
  expect(lines).toContain('| start until `/ready` | 1.9 s | ≤ 2 s | 1 s | 1, 0.5, 2, 1 |');
});
