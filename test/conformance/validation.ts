// Runs suites/validation: is our verdict on each object that of Istio's validating webhook, and of its CRDs?
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDiagnostic, hasErrors } from '../../config/diagnostic.ts';
import { validateAdmitted } from '../../config/validate.ts';
import { crdVerdictsOf } from './crd-verdicts.ts';
import type { Outcome } from './runner.ts';

interface Case {
  readonly id: string;
  readonly origin: 'seed' | 'mutation' | 'semantic';
  readonly mutation: string | null;
  readonly resource: unknown;
  readonly istio: {
    readonly valid: boolean;
    readonly errors?: readonly string[];
    readonly warnings?: readonly string[];
  };
  readonly crd: { readonly valid: boolean; readonly errors?: readonly string[] };
}

interface Verdict {
  readonly kind: string;
  readonly entry: Case;
  readonly valid: boolean;
  readonly agrees: boolean;
  readonly warningsAgree: boolean;
  readonly warnings: string;
  readonly reason: string;
}

const shownFailures = 60;

/**
 * Runs every `*.jsonl` of the folder. `SUITE_KIND` limits it to one kind, `SUITE_ALL` prints every failure, and
 * `SUITE_WARNINGS` the objects that only one of the two warns about. `SUITE_CRD=0` leaves out the CRDs, whose verdicts
 * come from a real API server and do not count in the outcome.
 */
export async function run(folder: string, out: (line: string) => void): Promise<Outcome> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const only = process.env['SUITE_KIND'];
  const verdicts: Verdict[] = [];
  for (const file of files) {
    const kind = file.slice(0, -'.jsonl'.length);
    if (only !== undefined && only !== kind) continue;
    const text = await readFile(join(folder, file), 'utf8');
    for (const line of text.split('\n')) {
      if (line !== '') verdicts.push(await judge(kind, JSON.parse(line) as Case));
    }
  }
  const failures = verdicts.filter((verdict) => !verdict.agrees);
  const shown = process.env['SUITE_ALL'] === undefined ? failures.slice(0, shownFailures) : failures;
  for (const failure of shown) out(describe(failure));
  if (process.env['SUITE_WARNINGS'] !== undefined) {
    for (const verdict of verdicts)
      if (verdict.entry.istio.valid && !verdict.warningsAgree) out(describeWarnings(verdict));
  }
  if (shown.length < failures.length) out(`… and ${failures.length - shown.length} more (SUITE_ALL=1 shows all)`);
  for (const [kind, group] of Map.groupBy(verdicts, (verdict) => verdict.kind)) out(score(kind, group));
  for (const [name, seeds] of [
    ["Istio's own objects", true],
    ['objects written for the suite', false],
  ] as const) {
    const group = verdicts.filter(({ entry }) => (entry.origin === 'seed') === seeds);
    if (group.length > 0) out(score(name, group));
  }
  if (verdicts.length > 0) out(score('all', verdicts));
  if (process.env['SUITE_CRD'] !== '0') await scoreCrds(verdicts, out);
  return { passed: verdicts.length - failures.length, failed: failures.length, skipped: 0 };
}

async function scoreCrds(verdicts: readonly Verdict[], out: (line: string) => void): Promise<void> {
  const answers = await crdVerdictsOf(verdicts.map((verdict) => verdict.entry.resource));
  const judged = verdicts.map(({ kind, entry }, index) => {
    const { valid, message } = answers[index] ?? { valid: false, message: 'no answer' };
    return { kind, entry, valid, expected: entry.crd.valid, message };
  });
  const failures = judged.filter(({ valid, expected }) => valid !== expected);
  const shown = process.env['SUITE_ALL'] === undefined ? failures.slice(0, shownFailures) : failures;
  for (const { kind, entry, valid, message } of shown) {
    const reason = valid ? `Istio's says: ${(entry.crd.errors ?? []).join('; ')}` : message;
    out(
      `CRD ${kind} ${entry.id} (${entry.mutation ?? entry.origin}): ours ${valid ? 'accepts' : 'refuses'} it. ${reason}`.slice(
        0,
        400,
      ),
    );
  }
  const groups = [...Map.groupBy(judged, ({ kind }) => kind), ['all', judged] as const];
  for (const [kind, group] of groups) {
    const agreeing = group.filter(({ valid, expected }) => valid === expected).length;
    const accuracy = balancedAccuracy(group);
    out(`CRD ${kind}: ${agreeing} of ${group.length} verdicts equal, balanced accuracy ${accuracy.toFixed(2)} %`);
  }
}

/** The mean of the shares of right verdicts on good and on bad objects, in percent. */
function balancedAccuracy(group: readonly { readonly valid: boolean; readonly expected: boolean }[]): number {
  const shares = [true, false].flatMap((expected) => {
    const part = group.filter((entry) => entry.expected === expected);
    return part.length === 0 ? [] : [part.filter(({ valid }) => valid === expected).length / part.length];
  });
  return (100 * shares.reduce((sum, share) => sum + share, 0)) / Math.max(1, shares.length);
}

async function judge(kind: string, entry: Case): Promise<Verdict> {
  const { diagnostics } = await validateAdmitted(entry.resource);
  const valid = !hasErrors(diagnostics);
  const warnings = diagnostics.filter((diagnostic) => diagnostic.severity === 'warning');
  const warned = warnings.length > 0;
  const reason = valid
    ? `Istio says: ${(entry.istio.errors ?? []).join('; ')}`
    : diagnostics
        .filter((diagnostic) => diagnostic.severity === 'error')
        .slice(0, 3)
        .map((diagnostic) => formatDiagnostic(diagnostic))
        .join('; ');
  return {
    kind,
    entry,
    valid,
    agrees: valid === entry.istio.valid,
    warningsAgree: valid && warned === (entry.istio.warnings ?? []).length > 0,
    warnings: warnings.map(({ message }) => message).join('; '),
    reason,
  };
}

function describe({ kind, entry, valid, reason }: Verdict): string {
  const what = entry.mutation ?? entry.origin;
  return `FAIL ${kind} ${entry.id} (${what}): we ${valid ? 'accept' : 'refuse'} it. ${reason}`.slice(0, 400);
}

function describeWarnings({ kind, entry, warnings }: Verdict): string {
  const theirs = (entry.istio.warnings ?? []).join('; ');
  return `${kind} ${entry.id} (${entry.mutation ?? entry.origin}): we warn: ${warnings}. Istio warns: ${theirs}`;
}

function score(kind: string, group: readonly Verdict[]): string {
  const good = group.filter((verdict) => verdict.entry.istio.valid);
  const bad = group.filter((verdict) => !verdict.entry.istio.valid);
  const share = (part: readonly Verdict[]) =>
    part.length === 0 ? undefined : part.filter((verdict) => verdict.agrees).length / part.length;
  const shares = [share(good), share(bad)].filter((value) => value !== undefined);
  const balanced = shares.reduce((sum, value) => sum + value, 0) / shares.length;
  const bothAccept = good.filter((verdict) => verdict.valid);
  const warnings = bothAccept.filter((verdict) => verdict.warningsAgree).length;
  const agreeing = group.filter((verdict) => verdict.agrees).length;
  return (
    `${kind}: ${agreeing} of ${group.length} verdicts equal, balanced accuracy ${(100 * balanced).toFixed(2)} %, ` +
    `warnings equal in ${warnings} of ${bothAccept.length} accepted by both`
  );
}
