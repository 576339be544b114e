// Leading without an election: at once, with no Lease, and until the end. And ends that do not wait for each other.
import { expect, test } from 'vitest';
import { endingTogether, whileLeading } from './while-leading.ts';

test('without an election a replica leads at once and touches no Lease', async () => {
  const told: boolean[] = [];
  const leading = whileLeading(
    {
      api: { send: () => Promise.reject(new Error('nothing is to be sent')) },
      ...{ namespace: 'istio-system', lease: 'lock', holder: 'a', leaseMs: 30_000, elect: false },
      log: { info: () => undefined, warn: () => undefined },
    },
    (leads) => told.push(leads),
  );
  expect(told).toEqual([true]);
  await leading[Symbol.asyncDispose]();
  expect(told).toEqual([true, false]);
});

test('of those that end together none waits for another', async () => {
  const begun: string[] = [];
  const last = Promise.withResolvers<void>();
  const ending = (name: string, end: Promise<void>): AsyncDisposable => ({
    [Symbol.asyncDispose]: () => {
      begun.push(name);
      return end;
    },
  });
  const all = endingTogether(ending('slow', last.promise), undefined, ending('quick', Promise.resolve()));
  const ended = all[Symbol.asyncDispose]();
  expect(begun).toEqual(['slow', 'quick']);
  last.resolve();
  await ended;
});
