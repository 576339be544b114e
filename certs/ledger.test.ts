// The list of issued certificates: one per holder, in order, bounded, without those that have ended.
import { expect, test } from 'vitest';
import { type IssuedCertificate, makeLedger } from './ledger.ts';

const certificate = (identity: string, holder: string, notAfter: number, serial = '1'): IssuedCertificate => ({
  ...{ identity, holder, notAfter, serial, notBefore: 0, signerId: 's', bundleVersion: 'b' },
});

test('a holder’s newer certificate takes the older one’s place', () => {
  const ledger = makeLedger(10, () => 0);
  ledger.note(certificate('b', 'x', 100, '1'));
  ledger.note(certificate('a', 'y', 100, '2'));
  ledger.note(certificate('b', 'x', 100, '3'));
  expect(ledger.list().map((each) => each.serial)).toEqual(['2', '3']);
  expect(ledger.latest('b', 'x')?.serial).toBe('3');
  expect(ledger.latest('b')?.serial).toBe('3');
  expect(ledger.latest('b', 'y')).toBeUndefined();
});

test('what has ended is not listed, and space is bounded', () => {
  let now = 0;
  const ledger = makeLedger(3, () => now);
  for (let i = 0; i < 10; i++) {
    ledger.note(certificate('a', `h${i}`, 100 + i));
  }
  expect(ledger.list().map((each) => each.holder)).toEqual(['h7', 'h8', 'h9']);
  now = 108;
  expect(ledger.list().map((each) => each.holder)).toEqual(['h9']);
  ledger.note(certificate('a', 'new', 500));
  expect(ledger.size).toBe(2);
});
