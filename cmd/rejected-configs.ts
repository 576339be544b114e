// Counts objects that were refused because of errors in them, by istiod's name for it (contract 4.13).
import { Counter, type Registry } from 'prom-client';
import type { Diagnostic } from '../config/diagnostic.ts';
import { formatRef } from '../config/object.ts';
import type { FindingsChange } from '../config/store.ts';

/** What a store's findings are handed to: each object counts once while it has errors. */
export function countRejected(registry: Registry): (change: FindingsChange) => void {
  const counter = new Counter({
    name: 'pilot_total_rejected_configs',
    help: 'Objects that were refused because of errors in them, by kind.',
    labelNames: ['type'],
    registers: [registry],
  });
  return ({ before, after }) => {
    const known = refused(before);
    for (const [ref, kind] of refused(after)) if (!known.has(ref)) counter.inc({ type: kind });
  };
}

function refused(findings: readonly Diagnostic[]): ReadonlyMap<string, string> {
  return new Map(
    findings.flatMap(({ severity, object }) =>
      severity === 'error' && object !== undefined ? [[formatRef(object), object.kind] as const] : [],
    ),
  );
}
