// Durations in Go's notation (`1h30m`, `250ms`, `-1.5s`), as Istio's API takes them.

/** A span of time: whole seconds and the rest in nanoseconds, both of the same sign (google.protobuf.Duration). */
export interface Duration {
  readonly seconds: number;
  readonly nanos: number;
}

const unitNanos: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  '\u00b5s': 1_000n,
  '\u03bcs': 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const nanosPerSecond = 1_000_000_000n;
const largest = 2n ** 63n - 1n;
const longestText = 128;

/**
 * Reads a duration as Go's time.ParseDuration does: a sign, then numbers with units ns, us, ms, s, m, h. `0` needs no
 * unit. Undefined where it is not one, or is longer than 292 years.
 */
export function parseDuration(text: string): Duration | undefined {
  if (text.length > longestText) return undefined;
  const signed = /^([+-]?)(.+)$/su.exec(text);
  if (signed === null) return undefined;
  const [, sign, rest = ''] = signed;
  if (rest === '0') return { seconds: 0, nanos: 0 };
  let total = 0n;
  const part = /([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/uy;
  while (part.lastIndex < rest.length) {
    const match = part.exec(rest);
    if (match === null) return undefined;
    const [, whole = '', fraction = '', unit = ''] = match;
    if (whole === '' && fraction === '') return undefined;
    const size = unitNanos[unit] ?? 0n;
    total +=
      BigInt(whole === '' ? '0' : whole) * size + (BigInt(`0${fraction}`) * size) / 10n ** BigInt(fraction.length);
    if (total > largest) return undefined;
  }
  return durationOfNanos(sign === '-' ? -total : total);
}

/** A duration in milliseconds, with fractions. */
export function millisecondsOf(duration: Duration): number {
  return duration.seconds * 1000 + duration.nanos / 1e6;
}

/** Whether a duration is longer than none. */
export function isPositive(duration: Duration): boolean {
  return duration.seconds > 0 || (duration.seconds === 0 && duration.nanos > 0);
}

function durationOfNanos(total: bigint): Duration {
  return { seconds: Number(total / nanosPerSecond), nanos: Number(total % nanosPerSecond) };
}
