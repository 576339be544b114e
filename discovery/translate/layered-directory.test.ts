// A directory in two layers behaves like one map, and is compared layer by layer.
import { describe, expect, it } from 'vitest';
import { layered } from './layered-directory.ts';
import { type ResourceRef, refTo, resourceQuery, sameDirectory } from './translator.ts';

const cell = resourceQuery<string>(
  'cell',
  (key) => key,
  () => undefined,
);
const directory = (...names: string[]): Map<string, ResourceRef> =>
  new Map(names.map((name) => [name, refTo(cell, name)]));

describe('a layered directory', () => {
  it('has the entries of both layers', () => {
    const both = layered(directory('a', 'b'), directory('c'));
    expect([...both.keys()]).toEqual(['a', 'b', 'c']);
    expect(both.size).toBe(3);
    expect(both.has('a') && both.has('c') && !both.has('d')).toBe(true);
    expect(both.get('c')?.key).toBe('c');
    const visited: string[] = [];
    both.forEach((_ref, name) => {
      visited.push(name);
    });
    expect(visited).toEqual([...both].map(([name]) => name));
    expect([...both.values()]).toHaveLength(3);
  });

  it('is the shared one where nothing is its own', () => {
    const shared = directory('a');
    expect(layered(shared, directory())).toBe(shared);
  });

  it('equals another by its cells, in whatever layers they stand', () => {
    const one = layered(directory('a', 'b'), directory('c'));
    expect(sameDirectory(one, layered(directory('a', 'b'), directory('c')))).toBe(true);
    expect(sameDirectory(one, directory('a', 'b', 'c'))).toBe(true);
    expect(sameDirectory(directory('a', 'b', 'c'), one)).toBe(true);
    expect(sameDirectory(one, layered(directory('a'), directory('b', 'c')))).toBe(true);
    expect(sameDirectory(one, layered(directory('a', 'b'), directory('d')))).toBe(false);
    expect(sameDirectory(one, directory('a', 'b'))).toBe(false);
  });
});
