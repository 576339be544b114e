// Findings about relations are warnings: the other object may come later.
import { type Diagnostic, warningOf } from '../diagnostic.ts';

/** Something that is referred to does not exist. */
export function absent(path: string, what: string, help?: string): readonly Diagnostic[] {
  return unusable(path, `${what} does not exist`, help);
}

/** Something that is referred to is not there for that. */
export function unusable(path: string, message: string, help?: string): readonly Diagnostic[] {
  return [warningOf('invalid-reference', message, { path, ...(help === undefined ? {} : { help }) })];
}

/** Nothing comes of the object, or of a part of it, among those that there are. */
export function ineffective(path: string, message: string, help?: string): readonly Diagnostic[] {
  return [warningOf('no-effect', message, { path, ...(help === undefined ? {} : { help }) })];
}

/** Another object says the same, and one of the two has no effect. */
export function overridden(path: string, message: string): readonly Diagnostic[] {
  return [warningOf('shadowed-config', message, { path })];
}
