// That sharing changes no value, and that what is equal is one and the same afterwards.

import { expect, test } from 'vitest';
import { fc } from '../../test/support/property.ts';
import { shareParts } from './shared-parts.ts';

const pod = (name: string, app: string) => ({
  metadata: { name, labels: { app, version: 'v1' } },
  spec: { containers: [{ name: 'app', ports: [{ containerPort: 80 }] }] },
});

test('equal parts are the very same afterwards, and others stay apart', () => {
  const first = pod('a', 'shop');
  const second = shareParts(pod('b', 'shop'), first);
  const third = shareParts(pod('c', 'cart'), second);
  expect(second).toEqual(pod('b', 'shop'));
  expect(second.metadata.labels).toBe(first.metadata.labels);
  expect(second.spec).toBe(first.spec);
  expect(third).toEqual(pod('c', 'cart'));
  expect(third.metadata.labels).not.toBe(second.metadata.labels);
  expect(third.spec).toBe(first.spec);
  expect(first).toEqual(pod('a', 'shop'));
});

test('an equal object is the one before', () => {
  const first = pod('a', 'shop');
  expect(shareParts(pod('a', 'shop'), first)).toBe(first);
});

test('keys in another order, a missing one, and a list in place of an object are not equal', () => {
  const previous = { labels: { a: '1', b: '2' }, list: ['x'] };
  const swapped = { labels: { b: '2', a: '1' }, list: ['x'] };
  expect(JSON.stringify(shareParts(structuredClone(swapped), previous))).toBe(JSON.stringify(swapped));
  expect(shareParts({ labels: { a: '1' }, list: ['x', 'y'] }, previous)).toEqual({
    labels: { a: '1' },
    list: ['x', 'y'],
  });
  expect(shareParts({ list: { 0: 'x' } }, previous)).toEqual({ list: { 0: 'x' } });
});

test('any two values: the same JSON as before, and the one before is left as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (next, previous) => {
      const before = JSON.stringify(previous);
      expect(JSON.stringify(shareParts(structuredClone(next), previous))).toBe(JSON.stringify(next));
      expect(JSON.stringify(previous)).toBe(before);
      expect(JSON.stringify(shareParts(structuredClone(previous), previous))).toBe(before);
    }),
  );
});
