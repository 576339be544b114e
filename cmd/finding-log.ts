// Puts what a source finds into the log when it appears, and says when it is mended.
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import type { SourceSink } from '../config/sources/source.ts';
import type { Logger } from './log.ts';

/** Findings of one unit that are logged at once; the rest is counted. */
const loggedAtOnce = 20;

/** The sink, with each finding logged once while it is in force. */
export function logFindings(sink: SourceSink, log: Logger): SourceSink {
  const known = new Map<string, ReadonlySet<string>>();
  return {
    ...sink,
    report: (unit, diagnostics) => {
      sink.report(unit, diagnostics);
      const before = known.get(unit) ?? new Set<string>();
      const fresh = diagnostics.filter((finding) => !before.has(formatDiagnostic(finding)));
      for (const finding of fresh.slice(0, loggedAtOnce)) logOne(log, finding);
      if (fresh.length > loggedAtOnce) log.warn({ unit, more: fresh.length - loggedAtOnce }, 'more findings');
      if (diagnostics.length > 0) known.set(unit, new Set(diagnostics.map(formatDiagnostic)));
      else if (known.delete(unit)) log.info({ unit }, 'mended');
    },
  };
}

function logOne(log: Logger, finding: Diagnostic): void {
  const level = finding.severity === 'error' ? 'error' : 'warn';
  log[level]({ code: finding.code, ...finding.position }, formatDiagnostic(finding));
}
