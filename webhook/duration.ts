// Durations as proto JSON writes them.
import { parseDuration } from '../config/duration.ts';

/**
 * A duration in proto JSON's form (`10ms` → `0.010s`, `1m30s` → `90s`); undefined where the text is no Go duration.
 * Fractions have 3, 6 or 9 digits (proto3 JSON mapping).
 */
export function canonicalDuration(text: string): string | undefined {
  const duration = parseDuration(text.trim());
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  const digits = String(Math.abs(nanos))
    .padStart(9, '0')
    .replace(/(000){1,2}$/, '');
  const sign = seconds < 0 || nanos < 0 ? '-' : '';
  return `${sign}${Math.abs(seconds)}${nanos === 0 ? '' : `.${digits}`}s`;
}
