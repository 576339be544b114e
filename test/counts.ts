// How many checks of a suite passed, failed and were skipped, read from what the suite wrote.
import type { Counting } from './suites.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Failures that the suite is known to have, within what it is held to; they do not fail the run. */
  readonly known: number;
}

export const noCounts: Counts = { passed: 0, failed: 0, skipped: 0, known: 0 };

/** The sum of several. */
export function sumOf(all: readonly Counts[]): Counts {
  return all.reduce(
    (a, b) => ({
      passed: a.passed + b.passed,
      failed: a.failed + b.failed,
      skipped: a.skipped + b.skipped,
      known: a.known + b.known,
    }),
    noCounts,
  );
}

/** `N passed, N failed`, with `, N skipped` where some were; known failures count as skipped. */
export function formatCounts({ passed, failed, skipped, known }: Counts): string {
  const left = skipped + known;
  return `${passed} passed, ${failed} failed${left === 0 ? '' : `, ${left} skipped`}`;
}

/** What is known of a suite that has ended. */
export interface Ended {
  readonly exitCode: number;
  /** Its standard output, or the end of it. */
  readonly output: string;
  /** The vitest report, where it wrote one. */
  readonly report?: string | undefined;
}

/**
 * Counts of a finished suite. A suite that ended with an error has at least one failure, and so has one that should have
 * said its counts and did not. Up to `knownFailures` failures are counted as known, all as failures where there are more.
 */
export function countsOf(counting: Counting, ended: Ended, knownFailures = 0): Counts {
  const counts = said(counting, ended);
  if (counts === undefined) return { ...noCounts, failed: 1 };
  if (counts.failed === 0) return ended.exitCode === 0 ? counts : { ...counts, failed: 1 };
  return counts.failed <= knownFailures ? { ...counts, failed: 0, known: counts.failed } : counts;
}

function said(counting: Counting, { exitCode, output, report }: Ended): Counts | undefined {
  switch (counting) {
    case 'exit code':
      return exitCode === 0 ? { ...noCounts, passed: 1 } : { ...noCounts, failed: 1 };
    case 'vitest report':
      return report === undefined ? undefined : fromVitest(report);
    case 'last line':
      return fromLastLine(output);
  }
}

function fromLastLine(output: string): Counts | undefined {
  const lines = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm)];
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0), known: 0 };
}

/**
 * What failed, a text each: tests of a vitest report with their first message, lines of a suite's output that begin with
 * `FAIL`. For the end of a long run, whose middle a reader may not have.
 */
export function failuresOf(counting: Counting, { output, report }: Ended): readonly string[] {
  switch (counting) {
    case 'exit code':
      return [];
    case 'vitest report':
      return report === undefined ? [] : failedTests(report);
    case 'last line':
      return output.split('\n').filter((line) => line.startsWith('FAIL '));
  }
}

function failedTests(report: string): readonly string[] {
  return (parsed(report)?.testResults ?? []).flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [`${name}: ${message}`] : [];
    return failed.map((test) => `${name}: ${test.fullName}: ${test.failureMessages?.[0] ?? 'no message'}`);
  });
}

/** A file that could not be loaded has no tests to count, but counts as one that failed. */
function fromVitest(text: string): Counts | undefined {
  const report = parsed(text);
  if (report === undefined) return undefined;
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
    known: 0,
  };
}

/** What is read of vitest's JSON report. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly VitestFile[];
}

interface VitestFile {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages?: readonly string[];
  }[];
}

/** Undefined for a report cut short. */
function parsed(report: string): VitestReport | undefined {
  try {
    return JSON.parse(report);
  } catch {
    return undefined;
  }
}
