// The graph: tracking, cut-off, absence, collections and indexes, and that incremental equals from scratch.

import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/property.ts';
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

  it('refuses a collection or an index that it does not keep', () => {
    const items = input<Item>('item');
    const forgotten = collection<Item, Item>('forgotten', [items], (_read, key, value) => new Map([[key, value]]));
    const byGroup = index('forgotten-by-group', forgotten, (item) => [item.group]);
    const graph = new Graph([]);
    const message = (of: string) => `graph: ${of} is not among those that this graph keeps`;
    expect(() => graph.read(forgotten, 'x')).toThrow(message('collection forgotten'));
    expect(() => graph.read(byGroup, 'a')).toThrow(message('index forgotten-by-group'));
    const later = collection<Item, Item>('later', [forgotten], (_read, key, value) => new Map([[key, value]]));
    expect(() => new Graph([later])).toThrow('graph: later is made of forgotten, which this graph does not keep');
  });

  it.each([
    ['the one that has it', ['old', 'new']],
    ['the one that gets it', ['new', 'old']],
  ])('keeps an item that one key of a source hands over to another, %s being looked at first', (_what, order) => {
    const groups = input<Item>('item');
    const held = collection<Item, Item>('held', [groups], (_read, key, { group, weight }) =>
      group === '' ? new Map() : new Map([[group, { group: key, weight }]]),
    );
    const byHolder = index('by-holder', held, (item) => [item.group]);
    const graph = new Graph([held]);
    graph.write(groups, 'old', { group: 'item', weight: 1 });
    graph.write(groups, 'new', { group: '', weight: 2 });
    expect(graph.read(held, 'item')).toEqual({ group: 'old', weight: 1 });
    const next = { old: { group: '', weight: 1 }, new: { group: 'item', weight: 2 } };
    for (const key of order) graph.write(groups, key, next[key as 'old' | 'new']);
    expect(graph.read(held, 'item')).toEqual({ group: 'new', weight: 2 });
    expect([graph.read(byHolder, 'old'), graph.read(byHolder, 'new')]).toEqual([[], ['item']]);
    graph.write(groups, 'new', undefined);
    expect(graph.read(held, 'item')).toBeUndefined();
    expect(graph.read(byHolder, 'new')).toEqual([]);
  });

  describe('sweeping', () => {
    it('leaves what is held, and forgets what is dropped and what only it read', () => {
      const { graph, items, report } = world();
      graph.write(items, 'x', { group: 'a', weight: 1 });
      graph.takeMarked();
      const empty = graph.size;
      graph.hold(report, 'r');
      graph.hold(report, 'r');
      graph.read(report, 'r');
      graph.sweep();
      expect(graph.stats().cells.get('sum')).toBe(3);
      graph.drop(report, 'r');
      expect(graph.stats().cells.get('sum')).toBe(3);
      expect(graph.unwanted).toBe(1);
      graph.sweep();
      expect(graph.unwanted).toBe(0);
      expect(graph.size).toBe(empty);
    });

    it('forgets absent inputs, items and entries that nobody reads, and keeps them while somebody does', () => {
      const { graph, items, sum } = world();
      const empty = graph.size;
      graph.write(items, 'never', undefined);
      graph.write(items, 'x', { group: 'a', weight: 1 });
      graph.hold(sum, 'a');
      expect(graph.read(sum, 'a')).toBe(3);
      graph.write(items, 'x', undefined);
      graph.takeMarked();
      graph.sweep();
      expect(graph.read(sum, 'a')).toBe(0);
      graph.sweep();
      // The sum and the entry that it looked at.
      expect(graph.size).toBe(empty + 2);
      graph.write(items, 'y', { group: 'a', weight: 2 });
      graph.sweep();
      expect(graph.read(sum, 'a')).toBe(6);
    });

    it('forgets what was read from outside only, and computes it anew when asked again', () => {
      const { graph, items, size } = world();
      graph.write(items, 'x', { group: 'a', weight: 1 });
      expect(graph.read(size, 'a')).toBe('small');
      graph.sweep();
      expect(graph.stats().cells.get('size')).toBe(0);
      graph.write(items, 'x', { group: 'a', weight: 9 });
      expect(graph.read(size, 'a')).toBe('large');
    });

    it('forgets a query that threw', () => {
      const values = input<number>('value');
      const strict = query('strict', (read, key: string) => {
        if (read(values, key) === undefined) throw new Error('absent');
      });
      const graph = new Graph([]);
      expect(() => graph.read(strict, 'x')).toThrow('absent');
      graph.sweep();
      expect(graph.size).toBe(0);
      expect(() => graph.read(strict, 'x')).toThrow('absent');
    });

    it('loses no mark of an output that is held', () => {
      const { graph, items, report } = world();
      graph.hold(report, 'r');
      graph.read(report, 'r');
      graph.takeMarked();
      graph.write(items, 'x', { group: 'a', weight: 9 });
      graph.sweep();
      expect(graph.takeMarked().map(({ node, id }) => `${node} ${id}`)).toEqual(['report r']);
    });

    it('tells no more of an output that it forgot', () => {
      const { graph, items, report } = world();
      graph.read(report, 'r');
      graph.takeMarked();
      graph.write(items, 'x', { group: 'a', weight: 9 });
      expect(graph.read(report, 'other')).toBe('large,small,small');
      graph.sweep();
      expect(graph.takeMarked()).toEqual([]);
    });

    it('finds the cell of a kept key that was forgotten in between', () => {
      const values = input<number>('value');
      const kept = query<{ readonly name: string }, number>('kept', (read, { name }) => read(values, name) ?? 0, {
        idOf: ({ name }) => name,
        keptKeys: true,
      });
      const graph = new Graph([]);
      const key = { name: 'x' };
      graph.write(values, 'x', 1);
      expect(graph.read(kept, key)).toBe(1);
      expect(graph.read.keptKey(kept, { name: 'x' })).toBe(key);
      graph.sweep();
      const other = { name: 'x' };
      expect(graph.read.keptKey(kept, other)).toBe(other);
      graph.write(values, 'x', 2);
      expect(graph.read(kept, other)).toBe(2);
      expect(graph.read(kept, key)).toBe(2);
      graph.write(values, 'x', 3);
      expect([graph.read(kept, key), graph.read(kept, other)]).toEqual([3, 3]);
      expect(graph.stats().cells.get('kept')).toBe(1);
    });

    it('is refused inside a query', () => {
      const graph = new Graph([]);
      const rude = query('rude', () => graph.sweep());
      expect(() => graph.read(rude, 'x')).toThrow('a query swept');
    });

    it('goes on where it stopped', () => {
      const { graph, items, report } = world();
      graph.write(items, 'x', { group: 'a', weight: 1 });
      graph.takeMarked();
      const empty = graph.size;
      graph.read(report, 'r');
      let slices = 0;
      for (; graph.unwanted > 0; slices++) graph.sweep(() => true);
      // The report, and of each group its size, its sum and, of two, an entry without items.
      expect(slices).toBe(1 + 3 + 3 + 2);
      expect(graph.size).toBe(empty);
    });
  });

  it('explains: the inputs of a value and the outputs of an input', () => {
    const { graph, items, report } = world();
    graph.write(items, 'x', { group: 'a', weight: 1 });
    graph.write(items, 'y', { group: 'z', weight: 1 });
    expect(graph.inputsOf(report, 'r').map((cell) => cell.id)).toEqual(['x']);
    expect(graph.outputsOf(items, 'x').map((cell) => cell.node)).toEqual(['report']);
    expect(graph.outputsOf(items, 'y')).toEqual([]);
  });

  it('keeps the items of a member whose reads changed to what they were', () => {
    const flags = input<number>('flag');
    const odd = query('odd', (read, key: string) => (read(flags, key) ?? 0) % 2 === 1);
    const values = input<string>('value');
    const derived = collection<string, string>(
      'derived',
      [values],
      (read, key, value) => new Map(read(odd, 'x') ? [[`${key}/${value}`, value]] : []),
    );
    const graph = new Graph([derived]);
    graph.write(flags, 'x', 1);
    graph.write(values, 'a', 'one');
    expect(graph.read(derived, 'a/one')).toBe('one');
    graph.write(flags, 'x', 3);
    expect(graph.read(derived, 'a/one')).toBe('one');
    graph.write(values, 'a', 'two');
    expect([graph.read(derived, 'a/one'), graph.read(derived, 'a/two')]).toEqual([undefined, 'two']);
    graph.write(flags, 'x', 2);
    expect(graph.read(derived, 'a/two')).toBeUndefined();
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

  describe('where a member cannot be derived', () => {
    type Bad = 'derive' | 'query' | 'entries' | 'equals';
    interface Frail extends Item {
      readonly bad?: Bad | undefined;
    }

    /** Two collections with an index each, of which a value decides where they break; `broken` breaks those that read it. */
    function frail() {
      const values = input<Frail>('value');
      const broken = input<boolean>('broken');
      const between = query('between', (read, key: string) => {
        if (read(broken, key) === true) throw new Error('broken query');
        return 1;
      });
      const above = query('above', (read, key: string) => read(between, key));
      const fail = (value: Frail, where: Bad): void => {
        if (value.bad === where) throw new Error(`broken ${where}`);
      };
      const first = collection<Frail, Frail>(
        'first',
        [values],
        (read, key, value) => {
          fail(value, 'derive');
          if (value.bad === 'query') read(above, 'x');
          return new Map([
            [key, value],
            [`${key}/${value.group}`, value],
          ]);
        },
        (a, b) => {
          fail(b, 'equals');
          return a.group === b.group && a.weight === b.weight;
        },
      );
      const byWeight = index('by-weight', first, (item) => [`${item.weight}`]);
      const byGroup = index('by-group', first, (item) => {
        fail(item, 'entries');
        return [item.group];
      });
      const second = collection<Frail, number>('second', [first], (_read, key, { weight }) => new Map([[key, weight]]));
      const all = index('all', second, () => ['all']);
      const told: string[] = [];
      const graph = new Graph([first, second]);
      const tell = () => graph.onFailure((error, what) => told.push(`${what}: ${(error as Error).message}`));
      return { graph, tell, told, values, broken, first, second, byGroup, byWeight, all };
    }

    it.each<Bad>(['derive', 'entries', 'equals'])('keeps its items, tells of it, and settles all others: %s', (bad) => {
      const { graph, tell, told, values, first, second, byGroup, byWeight, all } = frail();
      tell();
      const out = query('out', (read, key: string) => read(all, key).map((one) => read(second, one)), { output: true });
      graph.hold(out, 'all');
      for (const key of ['a', 'b', 'c']) graph.write(values, key, { group: 'g', weight: 1 });
      graph.read(out, 'all');
      graph.takeMarked();
      graph.write(values, 'a', { group: 'h', weight: 2 });
      graph.write(values, 'b', { group: 'h', weight: 2, bad });
      graph.write(values, 'c', { group: 'h', weight: 2 });
      graph.write(values, 'd', { group: 'g', weight: 3 });
      expect(graph.takeMarked().map(({ node }) => node)).toEqual(['out']);
      expect(told).toEqual([`first of b: broken ${bad}`]);
      expect(graph.read(first, 'b')).toEqual({ group: 'g', weight: 1 });
      expect(graph.read(byGroup, 'g')).toEqual(['b', 'b/g', 'd', 'd/g']);
      expect(graph.read(byGroup, 'h')).toEqual(['a', 'a/h', 'c', 'c/h']);
      expect(graph.read(byWeight, '1')).toEqual(['b', 'b/g']);
      expect(graph.read(all, 'all')).toEqual(['a', 'a/h', 'b', 'b/g', 'c', 'c/h', 'd', 'd/g']);
      expect(['a', 'b', 'c', 'd'].map((key) => graph.read(second, key))).toEqual([2, 1, 2, 3]);
      expect(told.length).toBe(1);
      graph.write(values, 'b', { group: 'h', weight: 2 });
      expect(graph.read(byGroup, 'h')).toEqual(['a', 'a/h', 'b', 'b/h', 'c', 'c/h']);
      expect([graph.read(byGroup, 'g'), told.length]).toEqual([['d', 'd/g'], 1]);
    });

    it('tries again when something has changed, also what only a query below it read, and once only', () => {
      const { graph, tell, told, values, broken, first } = frail();
      tell();
      graph.write(values, 'a', { group: 'g', weight: 1, bad: 'query' });
      expect(graph.read(first, 'a')?.weight).toBe(1);
      graph.write(broken, 'x', true);
      expect([graph.read(first, 'a')?.weight, told]).toEqual([1, ['first of a: broken query']]);
      graph.write(values, 'a', { group: 'g', weight: 2, bad: 'query' });
      expect([graph.read(first, 'a')?.weight, told.length]).toEqual([1, 2]);
      graph.read(first, 'a');
      graph.takeMarked();
      expect(told.length).toBe(2);
      graph.write(broken, 'x', false);
      expect([graph.read(first, 'a')?.weight, told.length]).toEqual([2, 2]);
      graph.write(broken, 'y', true);
      expect([graph.read(first, 'a')?.weight, told.length]).toEqual([2, 2]);
    });

    it('throws at whoever reads first where nobody is told, and has settled then', () => {
      const { graph, values, first, byGroup } = frail();
      graph.write(values, 'a', { group: 'g', weight: 1, bad: 'derive' });
      graph.write(values, 'b', { group: 'g', weight: 1 });
      expect(() => graph.read(first, 'b')).toThrow('broken derive');
      expect(graph.read(byGroup, 'g')).toEqual(['b', 'b/g']);
    });

    it('is in the end the same as if it had never failed, and nothing is left of what went', () => {
      const key = fc.constantFrom('a', 'b', 'c');
      const bad = fc.constantFrom<Bad | undefined>(undefined, undefined, 'derive', 'query', 'entries', 'equals');
      const value = fc.record({ group: fc.constantFrom('g', 'h'), weight: fc.integer({ min: 1, max: 3 }), bad });
      const step = fc.oneof(
        fc.tuple(fc.constant('value' as const), key, fc.option(value, { nil: undefined })),
        fc.tuple(fc.constant('broken' as const), fc.boolean()),
        fc.constant(['look'] as const),
        fc.constant(['sweep'] as const),
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 30 }), fc.dictionary(key, value), (steps, last) => {
          const seen = ({ graph, first, second, byGroup, byWeight, all }: ReturnType<typeof frail>) => ({
            items: ['a', 'b', 'c'].flatMap((one) =>
              ['', '/g', '/h'].map((tail) => [graph.read(first, one + tail)?.weight, graph.read(second, one + tail)]),
            ),
            entries: ['g', 'h'].map((group) => graph.read(byGroup, group)),
            weights: ['1', '2', '3'].map((weight) => graph.read(byWeight, weight)),
            all: graph.read(all, 'all'),
          });
          const used = frail();
          const fresh = frail();
          used.tell();
          const { graph, values, broken, first } = used;
          for (const [what, ...rest] of steps) {
            if (what === 'value') graph.write(values, rest[0] as string, rest[1] as Frail | undefined);
            else if (what === 'broken') graph.write(broken, 'x', rest[0] as boolean);
            else if (what === 'sweep') graph.sweep();
            else graph.read(first, 'a');
          }
          for (const { graph, values, broken } of [used, fresh]) {
            graph.write(broken, 'x', undefined);
            for (const one of ['a', 'b', 'c']) {
              const given = last[one];
              graph.write(values, one, given === undefined ? undefined : { ...given, bad: undefined });
            }
          }
          expect(seen(used)).toEqual(seen(fresh));
          for (const { graph, values } of [used, fresh]) {
            for (const one of ['a', 'b', 'c']) graph.write(values, one, undefined);
            graph.takeMarked();
            graph.sweep();
          }
          expect(graph.size).toBe(fresh.graph.size);
        }),
      );
    });
  });

  it('is the same incrementally as from scratch, swept or not, and in the end nothing is left of what went', () => {
    const edit = fc.record({
      key: fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5'),
      item: fc.option(fc.record({ group: fc.constantFrom('a', 'b', 'c'), weight: fc.integer({ min: 0, max: 9 }) }), {
        nil: undefined,
      }),
      look: fc.boolean(),
      hold: fc.constantFrom('hold', 'drop', undefined),
      sweep: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 40 }), (edits) => {
        const live = world();
        const state = new Map<string, Item | undefined>();
        for (const { key, item, look, hold, sweep } of edits) {
          live.graph.write(live.items, key, item);
          state.set(key, item);
          if (hold !== undefined) live.graph[hold](live.report, 'r');
          if (look) live.graph.read(live.report, 'r');
          let left = sweep ?? 0;
          if (sweep !== undefined) live.graph.sweep(() => --left === 0);
        }
        const fresh = world();
        for (const [key, item] of state) fresh.graph.write(fresh.items, key, item);
        for (const group of ['a', 'b', 'c'])
          expect(live.graph.read(live.sum, group)).toBe(fresh.graph.read(fresh.sum, group));
        expect(live.graph.read(live.report, 'r')).toBe(fresh.graph.read(fresh.report, 'r'));
        live.graph.drop(live.report, 'r');
        live.graph.sweep();
        fresh.graph.sweep();
        expect(live.graph.size).toBe(fresh.graph.size);
        for (const key of state.keys()) live.graph.write(live.items, key, undefined);
        live.graph.takeMarked();
        live.graph.sweep();
        expect(live.graph.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
