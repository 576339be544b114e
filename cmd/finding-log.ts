// Puts what sources find into the log when it appears, and says when it is mended.
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import type { Store } from '../config/store.ts';
import type { Logger } from './log.ts';

/** Findings of one unit that are logged at once; the rest is counted. */
const mostOfUnit = 20;
/** Lines in one window; the rest is counted. */
const mostLines = 100;
const windowMs = 1_000;

/** Logs each finding once while it is in force, until disposed: those of now, and later ones. */
export function logFindings(
  store: Pick<Store, 'findings' | 'onFindings'>,
  log: Pick<Logger, 'info' | 'warn' | 'error'>,
): Disposable {
  let lines = 0;
  let timer: NodeJS.Timeout | undefined;
  const endWindow = (): void => {
    if (lines > mostLines) log.warn(`${lines - mostLines} more lines about findings: see meltemi status`);
    lines = 0;
    timer = undefined;
  };
  const say = (line: () => void): void => {
    timer ??= setTimeout(endWindow, windowMs);
    if (++lines <= mostLines) line();
  };
  for (const finding of store.findings()) say(() => logOne(log, finding));
  const unsubscribe = store.onFindings(({ unit, before, after }) => {
    const known = new Set(before.map(formatDiagnostic));
    const fresh = after.filter((finding) => !known.has(formatDiagnostic(finding)));
    for (const finding of fresh.slice(0, mostOfUnit)) say(() => logOne(log, finding));
    if (fresh.length > mostOfUnit) say(() => log.warn({ unit, more: fresh.length - mostOfUnit }, 'more findings'));
    if (after.length === 0) say(() => log.info({ unit }, 'mended'));
  });
  return {
    [Symbol.dispose]() {
      unsubscribe();
      clearTimeout(timer);
    },
  };
}

function logOne(log: Pick<Logger, 'warn' | 'error'>, finding: Diagnostic): void {
  const level = finding.severity === 'error' ? 'error' : 'warn';
  log[level]({ code: finding.code, ...finding.position }, formatDiagnostic(finding));
}
