// Misspelt names find the nearest one.
import { expect, test } from 'vitest';
import { closestName, editDistance } from './suggestion.ts';

test.each([
  ['timout', 'timeout'],
  ['Timeout', 'timeout'],
  ['reties', 'retries'],
  ['retires', 'retries'],
  ['matches', undefined],
  ['hots', 'hosts'],
  ['export_to', 'exportTo'],
  ['x', undefined],
  ['', undefined],
  ['a'.repeat(10_000), undefined],
])('%s means %s', (name, expected) => {
  expect(closestName(name, ['timeout', 'retries', 'hosts', 'exportTo'])).toBe(expected);
});

test('ties go to the first by code unit, whatever the order', () => {
  expect(closestName('ab', ['ac', 'aa'])).toBe('aa');
});

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['abc', '', 3],
  ['kitten', 'sitting', 3],
])('distance of %s and %s', (a, b, expected) => {
  expect(editDistance(a, b)).toBe(expected);
});
