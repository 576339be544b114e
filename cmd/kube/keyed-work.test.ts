// Work by key: once each, few at a time, slower while it fails; and the pace of writes.
import { expect, test } from 'vitest';
import { KeyedWork } from './keyed-work.ts';
import { Pace } from './pace.ts';

const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
};

function world(perform: (key: string, calls: readonly string[]) => number | undefined) {
  const calls: string[] = [];
  const rests: number[] = [];
  const failed: string[] = [];
  let under = 0;
  let most = 0;
  const work = new KeyedWork({
    perform: async (key) => {
      calls.push(key);
      most = Math.max(most, ++under);
      await turns(1);
      under--;
      return perform(key, calls);
    },
    workers: 2,
    restMs: 10,
    sleep: async (ms, signal) => {
      rests.push(ms);
      if (!signal.aborted) await turns(1);
    },
    failed: (key, error) => failed.push(`${key} ${error.message}`),
  });
  return { work, calls, rests, failed, most: () => most };
}

test('each key is worked on once, two at a time, and once more where it was asked for meanwhile', async () => {
  const { work, calls, most } = world(() => undefined);
  for (const key of ['a', 'b', 'c', 'a', 'c']) work.add(key);
  await turns();
  expect(calls.sort()).toEqual(['a', 'a', 'b', 'c']);
  expect(most()).toBe(2);
});

test('what fails comes again after all others, after ever longer rests', async () => {
  const { work, calls, rests, failed } = world((key, all) => {
    if (key === 'bad' && all.filter((one) => one === 'bad').length < 4) throw new Error('no');
    return undefined;
  });
  for (const key of ['bad', 'x', 'y', 'z']) work.add(key);
  await turns(60);
  expect(failed).toEqual(['bad no', 'bad no', 'bad no']);
  expect(calls.filter((key) => key !== 'bad').sort()).toEqual(['x', 'y', 'z']);
  expect(calls.at(-1)).toBe('bad');
  expect(Math.max(...rests)).toBeGreaterThan(10);
});

test('a key is due again when it says so, and nothing after the end', async () => {
  const { work, calls } = world((_, all) => (all.length < 3 ? 1 : undefined));
  work.add('a');
  await expect.poll(() => calls.length).toBe(3);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(calls).toEqual(['a', 'a', 'a']);
  work.add('b');
  await work[Symbol.asyncDispose]();
  work.add('c');
  await turns();
  expect(calls).toEqual(['a', 'a', 'a', 'b']);
});

test('who is written over and over is written ever less often', () => {
  let now = 0;
  const pace = new Pace(() => now);
  let writes = 0;
  for (; now < 3_600_000; now += 500) {
    if (pace.delayOf('a') > 0) continue;
    pace.wrote('a');
    writes++;
  }
  expect(writes).toBeLessThan(70);
  expect(pace.delayOf('b')).toBe(0);
  now += 120_000;
  expect(pace.delayOf('a')).toBe(0);
  pace.wrote('a');
  expect(pace.delayOf('a')).toBe(1_000);
});
