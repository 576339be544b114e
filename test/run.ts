// `npm test`: fetches and builds the real parts, runs every suite, and ends with one line that adds them up.
import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Counts, countsOf, failuresOf, formatCounts, noCounts, sumOf } from './counts.ts';
import { isPresent, parts, root, runsRootTests, type Suite, suites, vitestReport } from './suites.ts';

interface Outcome {
  readonly name: string;
  readonly counts: Counts;
  readonly seconds: number;
  readonly note?: string;
  readonly failures?: readonly string[];
}

/** Failures that the end repeats at most, and characters of each. */
const shownFailures = 20;
const shownOfFailure = 2000;
const keptOutput = 1 << 20;
const environment = {
  ...process.env,
  PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
};

/** Starts fetching and building; a part that fails fails the suites that need it, with its message. */
function preparedParts(): ReadonlyMap<string, Promise<string | undefined>> {
  const started = performance.now();
  return new Map(
    Object.entries(parts).map(([name, prepare]) => {
      const onProgress = (message: string): void => console.log(`  ${message}`);
      const prepared = prepare({ onProgress }).then(
        () => {
          console.log(`  ${name} is there after ${seconds(started)} s`);
          return undefined;
        },
        (error: unknown) => `${name}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return [name, prepared];
    }),
  );
}

async function runSuite(suite: Suite, prepared: ReadonlyMap<string, Promise<string | undefined>>): Promise<Outcome> {
  const started = performance.now();
  console.log(`\n▶ ${suite.name}`);
  if (!isPresent(suite)) {
    const note = `left out: there is no ${suite.reads} here`;
    return { name: suite.name, counts: { ...noCounts, skipped: 1 }, seconds: 0, note };
  }
  const missing = (await Promise.all((suite.needs ?? []).map((name) => prepared.get(name)))).filter(
    (m) => m !== undefined,
  );
  if (missing.length > 0) {
    return {
      name: suite.name,
      counts: { ...noCounts, failed: 1 },
      seconds: seconds(started),
      note: missing.join('; '),
    };
  }
  if (suite.counting === 'vitest report') await rm(vitestReport, { force: true });
  const { exitCode, output } = await execute(suite.command, suite.timeoutMs ?? 1_200_000);
  const report = await readFile(vitestReport, 'utf8').catch(() => undefined);
  const ended = { exitCode, output, report };
  const counts = countsOf(suite.counting, ended, suite.knownFailures);
  const failures = counts.failed > 0 ? failuresOf(suite.counting, ended) : [];
  return { name: suite.name, counts, seconds: seconds(started), ...noteOn(suite, counts), failures };
}

/** A list of known failures may only shrink: says where it can. */
function noteOn({ knownFailures = 0 }: Suite, { known, failed }: Counts): { readonly note?: string } {
  if (failed > 0 && knownFailures > 0) return { note: `held to ${knownFailures} failures at most` };
  return known < knownFailures && failed === 0 ? { note: `its knownFailures can be lowered to ${known}` } : {};
}

/** Runs a command in sight, and keeps the end of its standard output. */
function execute(
  command: readonly string[],
  timeoutMs: number,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  return new Promise((resolve) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      process.stdout.write(text);
      output = (output + text).slice(-keptOutput);
    });
    const timer = setTimeout(() => {
      console.error(`${program} took more than ${timeoutMs / 60_000} minutes`);
      child.kill('SIGKILL');
    }, timeoutMs);
    const end = (exitCode: number): void => {
      clearTimeout(timer);
      resolve({ exitCode, output });
    };
    child.once('error', (error) => {
      console.error(error.message);
      end(127);
    });
    child.once('close', (code) => end(code ?? 1));
  });
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 100) / 10;
}

function printTable(outcomes: readonly Outcome[]): void {
  const width = Math.max(...outcomes.map(({ name }) => name.length));
  console.log('');
  for (const { name, counts, seconds: took, note } of outcomes) {
    const sign = counts.failed > 0 ? '✗' : '✓';
    const known = counts.known === 0 ? '' : ` (${counts.known} known failures among the skipped)`;
    const tail = note === undefined ? '' : `  ${note}`;
    console.log(
      `${sign} ${name.padEnd(width)} ${took.toFixed(1).padStart(6)} s  ${formatCounts(counts)}${known}${tail}`,
    );
  }
  if (!runsRootTests) console.log('Tests in network namespaces (*.root.test.ts) were left out: they need root.');
}

/** Says once more what failed: of a long run, often only the end is kept. */
function printFailures(outcomes: readonly Outcome[]): void {
  const failures = outcomes.flatMap(({ failures = [] }) => failures);
  for (const failure of failures.slice(0, shownFailures)) console.log(`\n✗ ${failure.slice(0, shownOfFailure)}`);
  if (failures.length > shownFailures) console.log(`\n✗ and ${failures.length - shownFailures} more`);
}

const started = performance.now();
const prepared = preparedParts();
const wanted = process.argv.slice(2);
const chosen = suites.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const outcomes: Outcome[] = [];
for (const suite of chosen) outcomes.push(await runSuite(suite, prepared));
if (chosen.length === 0) console.error(`no such suite; there are: ${suites.map(({ name }) => name).join(', ')}`);
else {
  printFailures(outcomes);
  printTable(outcomes);
}
const total = sumOf(outcomes.map(({ counts }) => counts));
console.log(`\nin ${seconds(started)} s`);
console.log(formatCounts(total));
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
