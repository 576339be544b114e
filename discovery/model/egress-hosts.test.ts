// Which hosts an egress listener takes in.
import { expect, test } from 'vitest';
import { admits, patternsOf } from './egress-hosts.ts';

const hosts = (...entries: string[]) => patternsOf(entries, 'own');

test.each([
  ['the own namespace by a dot', hosts('./*'), 'own', 'a.example.com', true],
  ['another namespace', hosts('./*'), 'other', 'a.example.com', false],
  ['a named namespace before any', hosts('*/*.org', 'other/a.com'), 'other', 'b.org', false],
  ['nothing', hosts('~/*'), 'own', 'a.example.com', false],
  ['all but a namespace', hosts('*/*', '~other/*'), 'other', 'a.example.com', false],
  ['all but a namespace, elsewhere', hosts('*/*', '~other/*'), 'own', 'a.example.com', true],
  ['all but a host', hosts('*/*', '~/a.example.com'), 'own', 'a.example.com', false],
  ['hosts in any case', hosts('*/A.Example.com'), 'own', 'a.example.com', true],
])('takes in %s', (_what, patterns, namespace, host, expected) => {
  expect(admits(patterns, namespace, host, 'service')).toBe(expected);
});

test('a route is taken in where its host covers the pattern too', () => {
  expect(admits(hosts('*/a.example.com'), 'x', '*.example.com', 'route')).toBe(true);
  expect(admits(hosts('*/a.example.com'), 'x', '*.example.com', 'service')).toBe(false);
});
