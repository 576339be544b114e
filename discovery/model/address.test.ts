// Addresses and ranges: how they are kept, and what lies in what.
import { describe, expect, it } from 'vitest';
import { parseAddress, parseRange, rangeContains } from './address.ts';

describe('addresses', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['10.0.0.0/33', undefined],
    ['example.com', undefined],
  ])('%s is kept as %s', (written, kept) => {
    expect(parseAddress(written)).toBe(kept);
  });

  it.each([
    ['10.1.0.0/16', '10.1.2.3', true],
    ['10.1.0.0/16', '10.2.0.1', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.1.2.3/32', '10.1.2.3', true],
    ['128.0.0.0/1', '127.0.0.1', false],
    ['2001:db8::/32', '2001:db8:1::5', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['::ffff:0:0/96', '::ffff:10.0.0.1', true],
    ['::/0', '10.0.0.1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['10.0.0.0/8', 'host', false],
  ])('%s contains %s: %s', (range, address, expected) => {
    expect(rangeContains(parseRange(range) ?? { address: '', bits: 0 }, address)).toBe(expected);
  });
});
