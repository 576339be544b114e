// What a rule says: diagnostics with a field path, built in one word each.
import { type Diagnostic, errorOf, warningOf } from '../diagnostic.ts';

/** What rules return; empty when there is nothing to say. */
export type Findings = readonly Diagnostic[];

/** No finding. */
export const fine: Findings = Object.freeze([]);

/** The value at `path` is not allowed. */
export function invalid(path: string, message: string, help?: string): Findings {
  return [errorOf('invalid-value', message, { path, ...(help === undefined ? {} : { help }) })];
}

/** The field at `path` must be set. */
export function missing(path: string, message: string): Findings {
  return [errorOf('missing-field', message, { path })];
}

/** Fields that exclude each other are set together. */
export function conflict(path: string, message: string): Findings {
  return [errorOf('conflicting-fields', message, { path })];
}

/** A value that must be unique occurs again at `path`. */
export function duplicate(path: string, message: string): Findings {
  return [errorOf('duplicate-value', message, { path })];
}

/** The setting at `path` is allowed, but probably not meant. */
export function doubtful(path: string, message: string): Findings {
  return [warningOf('invalid-value', message, { path })];
}

/** The setting at `path` has no effect. */
export function shadowed(path: string, message: string): Findings {
  return [warningOf('shadowed-config', message, { path })];
}

/** The field at `path` has a successor. */
export function deprecated(path: string, message: string): Findings {
  return [warningOf('deprecated-field', message, { path })];
}

/** The same finding, but one that does not refuse the object. */
export function asWarning(finding: Diagnostic): Diagnostic {
  return { ...finding, severity: 'warning' };
}

/** Runs a check on each element of a list with the path of the element. */
export function each<T>(
  items: readonly T[] | undefined,
  path: string,
  check: (item: T, path: string, index: number) => Findings,
): Findings {
  return (items ?? []).flatMap((item, index) => check(item, `${path}[${index}]`, index));
}

/** Finds elements whose key occurred before. */
export function unique<T>(
  items: readonly T[] | undefined,
  path: string,
  keyOf: (item: T) => string | undefined,
  messageOf: (key: string) => string,
): Findings {
  const seen = new Set<string>();
  return each(items, path, (item, at) => {
    const key = keyOf(item);
    if (key === undefined) return fine;
    if (seen.has(key)) return duplicate(at, messageOf(key));
    seen.add(key);
    return fine;
  });
}
