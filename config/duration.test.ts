// Durations are read as Go reads them.
import { describe, expect, test } from 'vitest';
import { isPositive, millisecondsOf, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  test.each([
    ['0', 0, 0],
    ['5s', 5, 0],
    ['1h30m', 5400, 0],
    ['250ms', 0, 250_000_000],
    ['1.5s', 1, 500_000_000],
    ['.5s', 0, 500_000_000],
    ['1.s', 1, 0],
    ['-1.5s', -1, -500_000_000],
    ['+2m', 120, 0],
    ['100ns', 0, 100],
    ['3us', 0, 3000],
    ['3µs', 0, 3000],
    ['1h1m1s1ms1us1ns', 3661, 1_001_001],
    ['0.0000000019s', 0, 1],
    ['2562047h47m16s', 9223372036, 0],
  ])('%s', (text, seconds, nanos) => {
    expect(parseDuration(text)).toEqual({ seconds, nanos });
  });

  test.each(['', 's', '5', '1.2.3s', '5 s', '5sec', '1e3s', 'five', '.s', '-', '1h-5m', '2562048h', '5s\n', '٣s'])(
    '%j is not one',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('a very long text is refused without being read', () => {
    expect(parseDuration('1s'.repeat(100_000))).toBeUndefined();
  });
});

test('milliseconds keep fractions', () => {
  expect(millisecondsOf({ seconds: 1, nanos: 500_000 })).toBe(1000.5);
});

test.each([
  [{ seconds: 0, nanos: 0 }, false],
  [{ seconds: 0, nanos: 1 }, true],
  [{ seconds: -1, nanos: 0 }, false],
])('isPositive %j', (duration, expected) => {
  expect(isPositive(duration)).toBe(expected);
});
