// Durations as Go and proto JSON write them, both ways.

const units: { readonly [unit: string]: bigint } = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/**
 * A duration in proto JSON's form (`10ms` → `0.010s`, `1m30s` → `90s`); undefined where the text is no Go duration.
 * Fractions have 3, 6 or 9 digits (proto3 JSON mapping).
 */
export function canonicalDuration(text: string): string | undefined {
  const nanos = nanosOf(text.trim());
  if (nanos === undefined) return undefined;
  const magnitude = nanos < 0n ? -nanos : nanos;
  const seconds = magnitude / 1_000_000_000n;
  const rest = magnitude % 1_000_000_000n;
  const fraction =
    rest === 0n
      ? ''
      : `.${rest
          .toString()
          .padStart(9, '0')
          .replace(/(000){1,2}$/, '')}`;
  return `${nanos < 0n ? '-' : ''}${seconds}${fraction}s`;
}

function nanosOf(text: string): bigint | undefined {
  const match = /^([+-]?)((?:(?:\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})(?:ns|us|µs|ms|s|m|h)){1,8}|0)$/.exec(text);
  if (match === null) return undefined;
  let total = 0n;
  for (const [, number = '', unit = ''] of (match[2] ?? '').matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    const [whole = '', fraction = ''] = number.split('.');
    total += (BigInt(`${whole}${fraction}` || '0') * (units[unit] ?? 0n)) / 10n ** BigInt(fraction.length);
  }
  return match[1] === '-' ? -total : total;
}
