// Tables and properties of JSON Patches: each leads from one value to the other, judged by another library.

import { applyPatch } from 'rfc6902';
import { describe, expect, test } from 'vitest';
import { plainJson } from '../test/support/plain-json.ts';
import { processorMsOf } from '../test/support/processor-time.ts';
import { fc } from '../test/support/property.ts';
import { createPatch } from './json-patch.ts';

describe('createPatch', () => {
  test('is short where items come before and after others', () => {
    const before = { list: [{ name: 'a', v: 1 }, { name: 'b' }] };
    const after = { list: [{ name: 'x' }, { name: 'a', v: 2 }, { name: 'b' }, { name: 'y' }] };
    const patch = createPatch(before, after);
    expect(patch.length).toBeLessThanOrEqual(4);
    const value = structuredClone(before);
    applyPatch(value, structuredClone([...patch]) as never);
    expect(value).toEqual(after);
  });

  test('of long lists takes no longer than their length allows', () => {
    const list = (first: number) => Array.from({ length: 20_000 }, (_, i) => ({ name: `n${first + i}`, v: first }));
    const took = processorMsOf(() => {
      expect(createPatch({ list: list(0) }, { list: list(10_000) })).toHaveLength(30_000);
    });
    expect(took).toBeLessThan(2_000);
  });

  test('says nothing about equal values', () => {
    expect(createPatch({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toEqual([]);
  });

  test('leads from any value to any other', () => {
    const named = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), v: fc.integer({ max: 3 }) });
    const value = fc.record({
      list: fc.array(named, { maxLength: 5 }),
      map: fc.dictionary(fc.constantFrom('x/y', '~t', 'plain', ''), plainJson(2)),
    });
    fc.assert(
      fc.property(value, value, (before, after) => {
        const target: unknown = structuredClone(before);
        const errors = applyPatch(target, structuredClone([...createPatch(before, after)]) as never);
        expect(errors.every((error) => error === null)).toBe(true);
        expect(JSON.parse(JSON.stringify(target))).toEqual(JSON.parse(JSON.stringify(after)));
      }),
    );
  });
});
