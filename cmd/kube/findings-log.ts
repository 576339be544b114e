// Logs what is wrong with objects of a cluster, once when it is found and not again while it stays.
import { type Diagnostic, formatDiagnostic } from '../../config/diagnostic.ts';
import type { Store } from '../../config/store.ts';
import type { Logger } from '../log.ts';

/** Milliseconds in which findings are gathered. */
const gatherMs = 1_000;
/** Log lines of one round; the rest is counted. */
const mostLines = 100;

/** Follows a store's findings until disposed. */
export function reportFindings(store: Pick<Store, 'findings'>, log: Pick<Logger, 'warn' | 'error'>): Disposable {
  let known: ReadonlySet<string> = new Set();
  const look = (): void => {
    const now = new Map<string, Diagnostic>(store.findings().map((finding) => [formatDiagnostic(finding), finding]));
    const fresh = [...now].filter(([text]) => !known.has(text));
    known = new Set(now.keys());
    for (const [text, { severity, code }] of fresh.slice(0, mostLines)) {
      log[severity === 'error' ? 'error' : 'warn']({ code }, text);
    }
    if (fresh.length > mostLines) log.warn(`${fresh.length - mostLines} more findings: see meltemi status`);
  };
  const timer = setInterval(look, gatherMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
