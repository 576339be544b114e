// Work by key: once each, few at a time, waits of those that fail, what holds all back; and the pace of writes.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { rest } from '../rest.ts';
import { KeyedWork } from './keyed-work.ts';
import { Pace } from './pace.ts';
import { refusal } from './refusal.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const refused = (status: number, body: unknown = {}): never => {
  throw refusal({ status, body });
};

/** Two workers who need a millisecond for each key. `perform` is given how often the key was worked on before. */
function world(perform: (key: string, before: number) => number | undefined) {
  const begun = performance.now();
  const calls: string[] = [];
  const failed: string[] = [];
  let under = 0;
  let most = 0;
  const work = new KeyedWork({
    perform: async (key) => {
      const before = timesOf(key).length;
      calls.push(`${key} ${performance.now() - begun}`);
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve, 1));
      under--;
      return perform(key, before);
    },
    workers: 2,
    restMs: 10,
    sleep: rest,
    random: () => 0,
    failed: (key, error) => failed.push(`${key} ${error.message}`),
  });
  /** When a key was worked on. */
  const timesOf = (key: string): readonly number[] =>
    calls.filter((call) => call.startsWith(`${key} `)).map((call) => Number(call.split(' ')[1]));
  return { work, calls, failed, timesOf, most: () => most };
}

test('each key is worked on once, two at a time with a rest after each, and once more where it was asked for meanwhile', async () => {
  const { work, calls, most } = world(() => undefined);
  for (const key of ['a', 'b', 'c', 'a', 'c']) work.add(key);
  await pass(5);
  work.remind('b');
  await pass(100);
  expect(calls).toEqual(['a 0', 'b 0', 'c 11', 'a 11', 'b 22']);
  work.add('a');
  await pass(0);
  work.add('a');
  await pass(100);
  expect(calls.slice(5)).toEqual(['a 105', 'a 116']);
  expect(most()).toBe(2);
});

test('what is refused waits ever longer, up to a minute, and slows nothing else', async () => {
  const { work, failed, timesOf } = world((key, before) => (key === 'bad' && before < 12 ? refused(403) : undefined));
  work.add('bad');
  for (let second = 0; second < 400; second++) {
    work.add(`good${second}`);
    await pass(1_000);
  }
  const waits = timesOf('bad').map((at, i, all) => Math.round((at - (all[i - 1] ?? at)) / 100) / 10);
  expect(waits).toEqual([0, 0.1, 0.3, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]);
  expect(failed).toHaveLength(12);
  for (let second = 0; second < 400; second++) expect(timesOf(`good${second}`)).toEqual([second * 1_000]);
});

test('news ends the wait of a key, a reminder does not, and what succeeded begins anew', async () => {
  const { work, timesOf } = world((_, before) => (before === 8 ? undefined : refused(403)));
  work.add('a');
  await pass(10_000);
  expect(timesOf('a')).toHaveLength(7);
  work.remind('a');
  await pass(100);
  expect(timesOf('a')).toHaveLength(7);
  work.add('a');
  await pass(0);
  expect(timesOf('a')).toHaveLength(8);
  work.add('a');
  // Under way: a reminder does not make it come again at once where it fails.
  await pass(20_000);
  expect(timesOf('a')).toHaveLength(9);
  work.add('a');
  await pass(0);
  work.remind('a');
  await pass(100);
  expect(timesOf('a')).toHaveLength(10);
  await pass(100);
  expect(timesOf('a')).toHaveLength(11);
});

test.each<[string, () => never]>([
  [
    'no answer',
    () => {
      throw new Error('connect ECONNREFUSED');
    },
  ],
  ['429', () => refused(429)],
  ['503', () => refused(503)],
])('while the API server fails (%s) all wait, and go on soon after it answers', async (_, fail) => {
  let down = true;
  const { work, calls } = world(() => (down ? fail() : undefined));
  const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
  for (const key of keys) work.add(key);
  await pass(60_000);
  // Two for each time that all were held back.
  expect(calls.length).toBeLessThan(36);
  down = false;
  const before = calls.length;
  await pass(6_000);
  expect(new Set(calls.slice(before).map((call) => call.split(' ')[0])).size).toBe(50);
});

test('keys for which the API server always fails hold others back for moments only', async () => {
  const { work, timesOf } = world((key) => (key.startsWith('bad') ? refused(500) : undefined));
  for (let i = 0; i < 10; i++) work.add(`bad${i}`);
  await pass(10_000);
  for (let second = 10; second < 300; second++) {
    work.add(`good${second}`);
    await pass(1_000);
  }
  await pass(5_000);
  const late = Array.from({ length: 290 }, (_, i) => (timesOf(`good${i + 10}`)[0] ?? Infinity) - (i + 10) * 1_000);
  expect(Math.max(...late)).toBeLessThan(5_100);
  expect(late.sort((a, b) => a - b)[145]).toBeLessThan(1_000);
});

test('the API server says when it wants to be asked again, a minute at most', async () => {
  const { work, timesOf } = world((_, before) =>
    before < 2 ? refused(429, { details: { retryAfterSeconds: before === 0 ? 20 : 86_400 } }) : undefined,
  );
  work.add('a');
  await pass(100_000);
  expect(timesOf('a')).toEqual([0, 20_001, 80_002]);
});

test('a webhook that fails is a matter of the key', async () => {
  const message = 'Internal error occurred: failed calling webhook "policy.example.com": connection refused';
  const { work, timesOf } = world((key) => (key.startsWith('bad') ? refused(500, { message }) : undefined));
  for (const key of ['bad1', 'bad2', 'good']) work.add(key);
  await pass(50);
  expect(timesOf('good')).toEqual([11]);
});

test('a key is due again when it says so, or after the time that was asked for', async () => {
  const { work, timesOf } = world((_, before) => (before < 2 ? 1_000 : undefined));
  work.remind('a', 500);
  work.remind('a');
  await pass(10_000);
  expect(timesOf('a')).toEqual([500, 1_501, 2_502]);
});

test('what is forgotten does not come again, and nothing does after the end', async () => {
  const { work, calls } = world((key) => (key === 'later' ? 10 : refused(403)));
  for (const key of ['bad', 'later', 'due']) work.add(key);
  await pass(0);
  work.clear();
  await pass(100_000);
  expect(calls).toEqual(['bad 0', 'later 0']);
  work.add('not begun');
  work.clear();
  await pass(50);
  expect(calls).toHaveLength(2);
  for (const key of ['bad', 'later', 'due']) work.add(key);
  await pass(50);
  const before = calls.length;
  const ended = work[Symbol.asyncDispose]();
  await pass(1);
  await ended;
  expect(vi.getTimerCount()).toBe(0);
  work.add('a');
  work.remind('b', 10);
  await pass(100_000);
  expect(calls).toHaveLength(before);
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
