// Expected problems as values: every message Meltemi gives about its input, by code.
import { formatRef, type ObjectRef, type Position } from './object.ts';

export type Severity = 'error' | 'warning' | 'info';

/** One finding about one object, file, or request. Never thrown; collected, shown, counted. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** One sentence without the object's name, path or position. */
  readonly message: string;
  readonly object?: ObjectRef;
  /** Field path from the object's root, `spec.http[0].route[1].weight`. */
  readonly path?: string;
  readonly position?: Position;
  /** What to do or what was probably meant. */
  readonly help?: string;
}

/**
 * Every code, with what it means. docs/diagnostics/README.md is generated from this table.
 * A code never changes its meaning; a new finding gets a new code.
 */
export const diagnosticCodes = {
  'yaml-syntax': 'The document is not well-formed YAML or JSON.',
  'yaml-limit': 'The document exceeds a limit (size, depth, aliases, documents, objects).',
  'file-unreadable': 'The file cannot be read, is not text, or is too large.',
  'not-an-object': 'The document is not a Kubernetes object (apiVersion, kind, metadata.name).',
  'unknown-kind': 'No such kind is known; the object is ignored.',
  'unknown-version': 'The kind is known, but not in this apiVersion.',
  'unknown-field': 'The schema has no such field.',
  'wrong-type': 'The value has the wrong type.',
  'invalid-value': 'The value is of the right type, but not allowed here.',
  'missing-field': 'A required field is absent.',
  'conflicting-fields': 'Fields that exclude each other are set together.',
  'duplicate-object': 'Another document defines the same object; the first one counts.',
  'duplicate-value': 'A value that must be unique occurs twice.',
  'invalid-reference': 'The object refers to something that does not exist or may not be used.',
  'shadowed-config': 'The setting has no effect because another one takes precedence.',
  'no-effect': 'The object, or a part of it, is valid, but nothing comes of it among the objects that there are.',
  'deprecated-field': 'The field still works but has a successor.',
  'invalid-secret': 'The Secret does not hold a usable certificate, key or CA.',
  'contested-object': 'Another writer keeps changing what the control plane writes; it has given in.',
  'kept-last-good': 'The object became invalid; its last valid version stays in force.',
} as const satisfies Record<string, string>;

export type DiagnosticCode = keyof typeof diagnosticCodes;

/** Builds an error; `at` adds object, path, position and help. */
export function errorOf(
  code: DiagnosticCode,
  message: string,
  at: Partial<Pick<Diagnostic, 'object' | 'path' | 'position' | 'help'>> = {},
): Diagnostic {
  return { code, severity: 'error', message, ...at };
}

/** Builds a warning; `at` adds object, path, position and help. */
export function warningOf(
  code: DiagnosticCode,
  message: string,
  at: Partial<Pick<Diagnostic, 'object' | 'path' | 'position' | 'help'>> = {},
): Diagnostic {
  return { code, severity: 'warning', message, ...at };
}

/** `file:line:column: severity[code] Kind ns/name path: message (help)`, on one line, with control characters escaped. */
export function formatDiagnostic(d: Diagnostic): string {
  const place = d.position === undefined ? '' : `${d.position.file}:${d.position.line}:${d.position.column}: `;
  const subject = [d.object === undefined ? '' : formatRef(d.object), d.path ?? ''].filter((s) => s !== '').join(' ');
  const help = d.help === undefined ? '' : ` (${d.help})`;
  return escapeControl(`${place}${d.severity}[${d.code}] ${subject === '' ? '' : `${subject}: `}${d.message}${help}`);
}

function escapeControl(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal or log
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Whether any finding is an error. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === 'error');
}
