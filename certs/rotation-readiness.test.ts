// Agents are ready for a step when their latest certificate came with the new bundle, and then of the new signer.
import { expect, test } from 'vitest';
import { makeLedger } from './ledger.ts';
import type { Readiness } from './rotation-driver.ts';
import { laggingAgents } from './rotation-readiness.ts';

const identity = { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'web' };
const issued = (holder: string, bundleVersion: string, signerId: string) => ({
  ...{
    identity: 'spiffe://cluster.local/ns/a/sa/web',
    holder,
    serial: '1',
    notBefore: 0,
    notAfter: 100,
    bundleVersion,
    signerId,
  },
});

test('by pod where the token names one, by address otherwise', () => {
  const ledger = makeLedger(10, () => 0);
  ledger.note(issued('uid-1', 'both', 'old'));
  ledger.note(issued('10.0.0.2', 'both', 'new'));
  ledger.note(issued('10.0.0.3', 'before', 'old'));
  const agents = [
    { name: 'one', identity: { ...identity, podUid: 'uid-1' }, peer: '10.0.0.1:5000' },
    { name: 'two', identity, peer: '10.0.0.2:5000' },
    { name: 'three', identity, peer: '10.0.0.3:5000' },
    { name: 'unknown', identity, peer: '10.0.0.4:5000' },
  ];
  const lagging = (readiness: Readiness, after = 0): readonly string[] =>
    laggingAgents(agents, (id, holder) => ledger.latest(id, holder, after), readiness).map(({ name }) => name);
  expect(lagging({ bundleVersion: 'both' })).toEqual(['three', 'unknown']);
  expect(lagging({ bundleVersion: 'both', signerId: 'new' })).toEqual(['one', 'three', 'unknown']);
  // What was issued before all replicas had reached the step does not count.
  expect(lagging({ bundleVersion: 'both' }, 1)).toEqual(['one', 'three', 'unknown']);
});
