// Leading without an election: at once, with no Lease, and until the end.
import { expect, test } from 'vitest';
import { whileLeading } from './while-leading.ts';

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
