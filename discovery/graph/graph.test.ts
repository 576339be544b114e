// The graph: tracking, cut-off, absence, collections and indexes, and that incremental equals from scratch.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collection, index } from './collect.ts';
import { Graph, input, type Query, query } from './graph.ts';

interface Item {
  readonly group: string;
  readonly weight: number;
}

/** A small world: items in groups, a sum per group, and a total that reads only the sums. */
function world() {
  const items = input<Item>('item');
  const derived = collection<Item, Item>('derived', [items], (_read, key, value) => new Map([[key, value]]));
  const byGroup = index('by-group', derived, (item) => [item.group]);
  const doubled = collection<Item, number>(
    'doubled',
    [derived],
    (_read, key, value) => new Map([[key, value.weight * 2]]),
  );
  const sum = query('sum', (read, group: string) =>
    read(byGroup, group).reduce(
      (total, key) => total + (read(derived, key)?.weight ?? 0) + (read(doubled, key) ?? 0),
      0,
    ),
  );
  const size = query('size', (read, group: string) => (read(sum, group) > 10 ? 'large' : 'small'));
  const report = query('report', (read, _key: string) => ['a', 'b', 'c'].map((group) => read(size, group)).join(','), {
    output: true,
  });
  const graph = new Graph([derived, doubled]);
  return { graph, items, sum, size, report };
}

describe('graph', () => {
  it('recomputes only readers of what changed and stops where a value is equal', () => {
    const { graph, items, report } = world();
    graph.write(items, 'x', { group: 'a', weight: 1 });
    expect(graph.read(report, 'r')).toBe('small,small,small');
    graph.takeMarked();
    const before = graph.stats().computed;
    graph.write(items, 'x', { group: 'a', weight: 2 });
    expect(graph.takeMarked().map((cell) => cell.node)).toEqual(['report']);
    expect(graph.read(report, 'r')).toBe('small,small,small');
    const after = graph.stats().computed;
    const work = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect([work('sum'), work('size'), work('report')]).toEqual([1, 1, 0]);
  });

  it('tracks absence: a key that appears invalidates who looked for it', () => {
    const things = input<string>('thing');
    const seen = query('seen', (read, key: string) => read(things, key) ?? 'nothing');
    const graph = new Graph([]);
    expect(graph.read(seen, 'x')).toBe('nothing');
    graph.write(things, 'x', 'here');
    expect(graph.read(seen, 'x')).toBe('here');
    graph.write(things, 'x', undefined);
    expect(graph.read(seen, 'x')).toBe('nothing');
  });

  it('does not mark anything for an equal write', () => {
    const { graph, items, report } = world();
    graph.write(items, 'x', { group: 'a', weight: 1 });
    graph.read(report, 'r');
    graph.takeMarked();
    expect(graph.write(items, 'x', { group: 'a', weight: 1 })).toBe(false);
    expect(graph.takeMarked()).toEqual([]);
  });

  it('refuses a query that reads itself', () => {
    const loop: Query<string, number> = query('loop', (read, key: string) => read(loop, key) + 1);
    expect(() => new Graph([]).read(loop, 'x')).toThrow('reads itself');
  });

  it('forgets a dropped cell and what only it read', () => {
    const { graph, items, report } = world();
    graph.write(items, 'x', { group: 'a', weight: 1 });
    graph.read(report, 'r');
    expect(graph.stats().cells.get('sum')).toBe(3);
    graph.drop(report, 'r');
    expect(graph.stats().cells.get('sum')).toBe(0);
  });

  it('explains: the inputs of a value and the outputs of an input', () => {
    const { graph, items, report } = world();
    graph.write(items, 'x', { group: 'a', weight: 1 });
    graph.write(items, 'y', { group: 'z', weight: 1 });
    expect(graph.inputsOf(report, 'r').map((cell) => cell.id)).toEqual(['x']);
    expect(graph.outputsOf(items, 'x').map((cell) => cell.node)).toEqual(['report']);
    expect(graph.outputsOf(items, 'y')).toEqual([]);
  });

  it('keeps working after a query threw', () => {
    const values = input<number>('value');
    const strict = query('strict', (read, key: string) => {
      const value = read(values, key);
      if (value === undefined) throw new Error('absent');
      return value;
    });
    const graph = new Graph([]);
    expect(() => graph.read(strict, 'x')).toThrow('absent');
    graph.write(values, 'x', 3);
    expect(graph.read(strict, 'x')).toBe(3);
  });

  it('is the same incrementally as from scratch', () => {
    const edit = fc.record({
      key: fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5'),
      item: fc.option(fc.record({ group: fc.constantFrom('a', 'b', 'c'), weight: fc.integer({ min: 0, max: 9 }) }), {
        nil: undefined,
      }),
      look: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 40 }), (edits) => {
        const live = world();
        const state = new Map<string, Item | undefined>();
        for (const { key, item, look } of edits) {
          live.graph.write(live.items, key, item);
          state.set(key, item);
          if (look) live.graph.read(live.report, 'r');
        }
        const fresh = world();
        for (const [key, item] of state) fresh.graph.write(fresh.items, key, item);
        for (const group of ['a', 'b', 'c'])
          expect(live.graph.read(live.sum, group)).toBe(fresh.graph.read(fresh.sum, group));
        expect(live.graph.read(live.report, 'r')).toBe(fresh.graph.read(fresh.report, 'r'));
      }),
      { numRuns: 300 },
    );
  });
});
