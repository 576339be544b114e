// Hosts within others, and hosts that overlap.

import { expect, test } from 'vitest';
import { processorMsOf } from '../../test/support/processor-time.ts';
import { fc } from '../../test/support/property.ts';
import { hostWithin, overlapsOf, withinAny, withoutSniPrefix } from './hosts.ts';

test.each([
  ['a.b', 'a.b', true],
  ['a.b', 'c.b', false],
  ['a.b', '*.b', true],
  ['a.b', '*', true],
  ['*.a.b', '*.b', true],
  ['*.b', '*.a.b', false],
  ['*.b', '*.b', true],
  ['*', '*', true],
  ['*.b', 'a.b', false],
  ['x-a.b', '*-a.b', true],
])('%s within %s: %s', (inner, outer, expected) => {
  expect(hostWithin(inner, outer)).toBe(expected);
  expect(withinAny(['z.z', outer, '*.y.y'])(inner)).toBe(expected);
});

test.each([
  [[], []],
  [['a.b', 'c.b'], []],
  [
    ['a.b', 'a.b', 'a.b'],
    [
      [1, 0],
      [2, 0],
    ],
  ],
  [['*.b', 'a.b'], [[1, 0]]],
  [['a.b', '*.b'], [[1, 0]]],
  [['*.a.b', 'c.d', '*.b'], [[2, 0]]],
  [['*', 'a'], [[1, 0]]],
])('overlaps of %j', (hosts, expected) => {
  expect(overlapsOf(hosts).map(({ index, other }) => [index, other])).toEqual(expected);
});

const host = fc
  .tuple(
    fc.constantFrom('', '*', '*.', '*-'),
    fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 3 }),
  )
  .map(([prefix, labels]) => prefix + labels.join('.'));

test('overlaps are those that a comparison of each with each earlier one finds', () => {
  fc.assert(
    fc.property(fc.array(host, { maxLength: 8 }), (hosts) => {
      const expected = hosts.flatMap((text, index) =>
        hosts.slice(0, index).some((earlier) => hostWithin(text, earlier) || hostWithin(earlier, text)) ? [index] : [],
      );
      expect(overlapsOf(hosts).map(({ index }) => index)).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

test('many hosts take little time', () => {
  const hosts = Array.from({ length: 20_000 }, (_, index) => `*.h${index}.example.com`);
  const took = processorMsOf(() => {
    expect(overlapsOf(hosts)).toEqual([]);
    expect(hosts.every(withinAny(hosts))).toBe(true);
  });
  expect(took).toBeLessThan(3000);
});

test('the service of a server name between networks', () => {
  expect(withoutSniPrefix('outbound_.80_.v1_.a.b.svc.cluster.local')).toBe('a.b.svc.cluster.local');
  expect(withoutSniPrefix('outbound_a.b')).toBe('outbound_a.b');
});
