// Addresses of callers: IPv4 inside IPv6, with and without a port.
import { expect, test } from 'vitest';
import { plainHost, plainPeer } from './peer-address.ts';

test.each([
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.1'],
  ['fd00::1', 'fd00::1'],
  ['::ffff:1', '::ffff:1'],
  ['', ''],
])('host %s', (host, plain) => {
  expect(plainHost(host)).toBe(plain);
});

test.each([
  ['::ffff:10.0.0.1:5000', '10.0.0.1:5000'],
  ['10.0.0.1:5000', '10.0.0.1:5000'],
  ['fd00::1:5000', '[fd00::1]:5000'],
  ['::1:80', '[::1]:80'],
  ['unknown', 'unknown'],
  ['/run/socket', '/run/socket'],
])('peer %s', (peer, plain) => {
  expect(plainPeer(peer)).toBe(plain);
});
