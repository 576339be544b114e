// The figures of `npm run bench:mesh` as a table: medians of the runs, beside istiod's and the goal.
import { cpus, totalmem } from 'node:os';

interface Distribution {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
}

/** What `meshload ads` prints. */
export interface AdsReport {
  readonly connect_all_s: number;
  readonly refused_and_retried: number;
  readonly initial_MiB: number;
  readonly endpoint_change_last_stream: Distribution;
  readonly route_change_last_stream: Distribution;
  readonly cpu_s: {
    readonly connect: number;
    readonly endpoint_change_each: number;
    readonly route_change_each: number;
  };
  readonly rss_MiB: { readonly before: number; readonly connected: number; readonly end: number };
}

/** One run against a fresh process. */
export interface Sample {
  readonly readyMs: number;
  readonly report: AdsReport;
}

/** A row: what was measured, istiod 1.32-dev's figure for it on such a machine, the goal, and every run's. */
export interface Row {
  readonly what: string;
  readonly istiod: string;
  readonly goal: number;
  readonly unit: 's' | 'CPU-s' | 'MiB' | 'ms';
  readonly runs: readonly number[];
}

/** The rows for the runs without and with scopes, `streams` of each. */
export function rowsOf(all: {
  readonly unscoped: readonly Sample[];
  readonly scoped: readonly Sample[];
  readonly streams: readonly [number, number];
}): readonly Row[] {
  const of = (samples: readonly Sample[], pick: (report: AdsReport) => number) =>
    samples.map(({ report }) => pick(report));
  const { unscoped, scoped, streams } = all;
  const [wide, narrow] = [`unscoped, ${streams[0]} sidecars`, `scoped, ${streams[1]} sidecars`];
  const configured = (r: AdsReport) => r.connect_all_s;
  const connectCpu = (r: AdsReport) => r.cpu_s.connect;
  const memory = (r: AdsReport) => r.rss_MiB.connected;
  const endpoint = (r: AdsReport) => r.endpoint_change_last_stream.p50_ms;
  const route = (r: AdsReport) => r.route_change_last_stream.p50_ms;
  const routeCpu = (r: AdsReport) => r.cpu_s.route_change_each;
  const row = (what: string, istiod: string, goal: number, unit: Row['unit'], runs: readonly number[]): Row => {
    return { what, istiod, goal, unit, runs };
  };
  const rows = [
    row(`${wide}: all configured`, '12-26 s', 5, 's', of(unscoped, configured)),
    row(`${wide}: CPU for it`, '21 CPU-s', 5, 'CPU-s', of(unscoped, connectCpu)),
    row(`${wide}: memory then`, '672 MiB', 300, 'MiB', of(unscoped, memory)),
    row(`${wide}: one endpoint changes, the last stream has it`, '123 ms', 20, 'ms', of(unscoped, endpoint)),
    row(`${wide}: one VirtualService changes, the last stream has it`, '2,200 ms', 220, 'ms', of(unscoped, route)),
    row(`${wide}: CPU for it`, '2.7 CPU-s', 0.2, 'CPU-s', of(unscoped, routeCpu)),
    row(`${narrow}: all configured`, '40 s', 6, 's', of(scoped, configured)),
    row(`${narrow}: CPU for it`, '25 CPU-s', 6, 'CPU-s', of(scoped, connectCpu)),
    row(`${narrow}: memory then`, '356 MiB', 250, 'MiB', of(scoped, memory)),
    row(`${narrow}: one endpoint changes, the last of its streams has it`, '119 ms', 15, 'ms', of(scoped, endpoint)),
    row(`${narrow}: one VirtualService changes, the last of its streams has it`, '187 ms', 20, 'ms', of(scoped, route)),
    row(`${narrow}: CPU for it`, '0.16 CPU-s', 0.02, 'CPU-s', of(scoped, routeCpu)),
    row(
      'start until `/ready`',
      '1.9 s',
      2,
      's',
      [...unscoped, ...scoped].map(({ readyMs }) => readyMs / 1000),
    ),
  ];
  return rows.filter(({ runs }) => runs.length > 0);
}

/** The middle of several numbers; the mean of the two in the middle where they are even in number. */
export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Markdown, for docs/performance.md. */
export function formatTable(rows: readonly Row[]): string {
  const gib = Math.round(totalmem() / 2 ** 30);
  return [
    `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${gib} GiB, Node ${process.version}; everything on one machine.`,
    '',
    '| | istiod 1.32-dev | goal | Meltemi (median) | runs |',
    '| --- | ---: | ---: | ---: | --- |',
    ...rows.map(({ what, istiod, goal, unit, runs }) => {
      const median = medianOf(runs);
      const missed = median > goal ? ' (missed)' : '';
      return `| ${what} | ${istiod} | ≤ ${goal} ${unit} | ${round(median)} ${unit}${missed} | ${runs.map(round).join(', ')} |`;
    }),
  ].join('\n');
}

/** Three significant digits. */
function round(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : 'none';
}
