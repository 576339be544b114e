// Findings about relations are warnings: the other object may come later.
import { type Diagnostic, warningOf } from '../diagnostic.ts';

/** Something that is referred to does not exist. */
export function absent(path: string, what: string, help?: string): readonly Diagnostic[] {
  return [warningOf('invalid-reference', `${what} does not exist`, { path, ...(help === undefined ? {} : { help }) })];
}

/** Another object says the same, and one of the two has no effect. */
export function overridden(path: string, message: string): readonly Diagnostic[] {
  return [warningOf('shadowed-config', message, { path })];
}
