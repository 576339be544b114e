// What commands print: findings with their source lines, tables, YAML and JSON.
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';

/** A finding with the lines around its position, as `validate` shows it. */
export function formatWithFrame(
  diagnostic: Diagnostic,
  readText: (file: string) => string | undefined = readTextOf,
): string {
  const line = formatDiagnostic(diagnostic);
  const { position, code } = diagnostic;
  // Such a file has no lines to show: it is too large, or no text.
  if (code === 'file-unreadable') return line;
  const text = position === undefined ? undefined : readText(position.file);
  if (position === undefined || text === undefined) return line;
  const lines = text.split('\n');
  const first = Math.max(1, position.line - 1);
  const last = Math.min(lines.length, position.line + 1);
  const width = String(last).length;
  const frame: string[] = [];
  for (let number = first; number <= last; number++) {
    const shown = (lines[number - 1] ?? '').replaceAll('\t', ' ').slice(0, 160);
    frame.push(`${number === position.line ? '>' : ' '} ${String(number).padStart(width)} | ${printable(shown)}`);
    if (number === position.line)
      frame.push(`  ${' '.repeat(width)} | ${' '.repeat(Math.min(position.column, 160) - 1)}^`);
  }
  return `${line}\n${frame.join('\n')}`;
}

/** A value as YAML or JSON, keys in the order given. */
export function formatValue(value: unknown, format: 'yaml' | 'json'): string {
  return format === 'json'
    ? `${JSON.stringify(value, undefined, 2)}\n`
    : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Rows under headings, padded to columns. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? '').length)));
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [lineOf(headings), ...rows.map(lineOf)].join('\n');
}

function readTextOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters of a file must not reach the terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
