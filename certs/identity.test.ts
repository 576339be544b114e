// SPIFFE ids: exactly Istio's form is an identity, nothing else is.
import { describe, expect, test } from 'vitest';
import { formatIdentity, makeIdentity, parseIdentity, parseServiceAccountUser } from './identity.ts';

const web = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' };

test('an id reads back to what it was made of', () => {
  expect(formatIdentity(web)).toBe('spiffe://cluster.local/ns/default/sa/web');
  expect(parseIdentity(formatIdentity(web))).toEqual(web);
});

test('@ in a trust domain becomes a dot', () => {
  expect(makeIdentity('proj@example.com', 'a', 'b')?.trustDomain).toBe('proj.example.com');
});

describe('not an identity', () => {
  const ids = [
    '',
    'spiffe://',
    'spiffe://cluster.local',
    'spiffe://cluster.local/ns/a/sa/b/',
    'spiffe://cluster.local/ns/a/sa/b/c',
    'spiffe://cluster.local/ns//sa/b',
    'spiffe://cluster.local/ns/a/sa/',
    'spiffe://cluster.local/NS/a/sa/b',
    'spiffe:///ns/a/sa/b',
    'spiffe://Cluster.Local/ns/a/sa/b',
    'spiffe://user@cluster.local/ns/a/sa/b',
    'spiffe://cluster.local:80/ns/a/sa/b',
    'spiffe://cluster.local/ns/a/sa/b?x',
    'spiffe://cluster.local/ns/a/sa/b#x',
    'spiffe://cluster.local/ns/a%2fb/sa/b',
    'spiffe://cluster.local/ns/../sa/b',
    'SPIFFE://cluster.local/ns/a/sa/b',
    'https://cluster.local/ns/a/sa/b',
    'spiffe://cluster.local/ns/a/sa/b\n',
    `spiffe://cluster.local/ns/a/sa/${'b'.repeat(254)}`,
    `spiffe://cluster.local/ns/${'a'.repeat(64)}/sa/b`,
    `spiffe://${'a'.repeat(3000)}/ns/a/sa/b`,
  ];
  test.each(ids)('%s', (id) => expect(parseIdentity(id)).toBeUndefined());
});

test('service account user names', () => {
  expect(parseServiceAccountUser('system:serviceaccount:default:web')).toEqual({
    namespace: 'default',
    serviceAccount: 'web',
  });
  for (const name of [
    '',
    'system:serviceaccount:a',
    'system:serviceaccount:a:b:c',
    'system:node:a:b',
    'system:serviceaccount::b',
    'system:serviceaccount:A:b',
  ]) {
    expect(parseServiceAccountUser(name)).toBeUndefined();
  }
});
