// Secrets of Gateways and DestinationRules: which are usable, and why the others are not.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openssl } from '../test/support/openssl.ts';
import { processorMsOf } from '../test/support/processor-time.ts';
import { fc } from '../test/support/property.ts';
import { caOf, keyPairOf } from './credential.ts';
import { parseCredentialName, secretNamesOf } from './credential-name.ts';
import type { Diagnostic } from './diagnostic.ts';
import { formatDiagnostic } from './diagnostic.ts';
import type { Secret } from './kinds/secret.ts';
import { parsePem } from './pem.ts';

const key = openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
const otherKey = openssl(['genpkey', '-algorithm', 'RSA']);
const shortKey = openssl(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']);
const edKey = openssl(['genpkey', '-algorithm', 'ed25519']);
const certificate = certificateOf(key);
const other = certificateOf(otherKey);
const now = Date.now();
const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const crl = '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n';
const staple = Buffer.from('30030a0100', 'hex');

describe('a key pair', () => {
  test.each([
    ['TLS Secret', { 'tls.crt': certificate, 'tls.key': key }],
    ['generic Secret', { cert: certificate, key }],
    ['RSA', { 'tls.crt': other, 'tls.key': otherKey }],
    ['SEC 1 key with curve parameters', { cert: certificate, key: openssl(['ec', '-in', 'key'], { key }) }],
    ['PKCS #1 key', { cert: other, key: openssl(['rsa', '-traditional', '-in', 'key'], { key: otherKey }) }],
    ['chain', { cert: certificate + other, key }],
  ])('usable: %s', (_, data) => {
    const found = keyPairOf(secretOf(data), now);
    expect(found).toMatchObject({
      warnings: [],
      credential: { certificate: expect.stringMatching(/^-----BEGIN CERT/) },
    });
  });

  test('values as text count over base64', () => {
    const secret = {
      ...secretOf({ 'tls.crt': 'x', 'tls.key': 'x' }),
      stringData: { 'tls.crt': certificate, 'tls.key': key },
    };
    expect(keyPairOf(secret, now)).toHaveProperty('credential');
  });

  test('a bad block in the chain is left out with a warning', () => {
    const found = keyPairOf(secretOf({ 'tls.crt': certificate + garbage + other, 'tls.key': key }), now);
    expect(found).toMatchObject({
      warnings: [{ severity: 'warning', message: 'PEM block 2 is not a certificate and is left out' }],
    });
    expect('credential' in found ? parsePem(found.credential.certificate).blocks.length : 0).toBe(2);
  });

  test('a staple is taken if it looks like one', () => {
    const pair = { 'tls.crt': certificate, 'tls.key': key };
    expect(keyPairOf(secretOf({ ...pair, 'tls.ocsp-staple': staple }), now)).toMatchObject({
      credential: { ocspStaple: staple },
    });
    const found = keyPairOf(secretOf({ ...pair, 'tls.ocsp-staple': 'x' }), now);
    expect(found).toMatchObject({ warnings: [{ path: 'data[tls.ocsp-staple]' }] });
    expect(found).not.toHaveProperty('credential.ocspStaple');
  });

  test.each<readonly [string, Readonly<Record<string, string>>, RegExp]>([
    ['no key', { 'tls.crt': certificate }, /no certificate or no key/],
    ['nothing', {}, /no certificate or no key/],
    ['key of another', { 'tls.crt': certificate, 'tls.key': otherKey }, /does not belong/],
    ['short key', { 'tls.crt': certificateOf(shortKey), 'tls.key': shortKey }, /1024 bits/],
    ['Ed25519', { 'tls.crt': certificateOf(edKey), 'tls.key': edKey }, /does not take/],
    ['garbage certificate', { 'tls.crt': garbage, 'tls.key': key }, /no certificate/],
    [
      'garbage key',
      { 'tls.crt': certificate, 'tls.key': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
      /cannot be read/,
    ],
    [
      'encrypted key',
      { 'tls.crt': certificate, 'tls.key': openssl(['pkcs8', '-topk8', '-passout', 'pass:x', '-in', 'key'], { key }) },
      /unencrypted/,
    ],
    ['certificate and key swapped', { 'tls.crt': key, 'tls.key': certificate }, /no certificate/],
  ])('unusable: %s', (_, data, message) => {
    const found = keyPairOf(secretOf(data), now) as Diagnostic;
    expect(found).toMatchObject({ code: 'invalid-secret', severity: 'error', object: { kind: 'Secret', name: 'web' } });
    expect(found.message).toMatch(message);
    expect(formatDiagnostic(found)).not.toContain('PRIVATE KEY-----');
  });

  test('unusable once it has expired', () => {
    const secret = secretOf({ 'tls.crt': certificate, 'tls.key': key });
    const tenDays = 10 * 86_400_000;
    expect(keyPairOf(secret, now + tenDays - 60_000)).toHaveProperty('credential');
    expect((keyPairOf(secret, now + tenDays + 60_000) as Diagnostic).message).toMatch(/expired on/);
  });
});

describe('a CA', () => {
  test.each([
    ['ca.crt', { 'ca.crt': certificate }],
    ['cacert', { cacert: certificate + other }],
    ['with a revocation list', { 'ca.crt': certificate, 'ca.crl': crl }],
    ['with a bad block', { 'ca.crt': garbage + certificate }],
  ])('usable: %s', (_, data) => {
    expect(caOf(secretOf(data), now)).toHaveProperty('credential.certificates');
  });

  test.each<readonly [string, Readonly<Record<string, string>>, RegExp]>([
    ['none', { 'tls.crt': certificate }, /no CA certificate/],
    ['garbage', { 'ca.crt': garbage }, /no CA certificate/],
    ['a revocation list that cannot be read', { 'ca.crt': certificate, 'ca.crl': 'x' }, /revocation list/],
  ])('unusable: %s', (_, data, message) => {
    expect((caOf(secretOf(data), now) as Diagnostic).message).toMatch(message);
  });

  test('a ConfigMap holds text', () => {
    const configMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap' as const,
      metadata: { name: 'ca', namespace: 'a' },
      data: { 'ca.crt': certificate },
    };
    expect(caOf(configMap, now)).toHaveProperty('credential.certificates');
    expect((caOf(configMap, now + 20 * 86_400_000) as Diagnostic).message).toMatch(/expired/);
  });
});

test('names that proxies ask for', () => {
  const parse = (name: string) => {
    const parsed = parseCredentialName(name, 'own');
    return parsed === undefined
      ? undefined
      : `${parsed.namespace} ${secretNamesOf(parsed).join(' or ')}${parsed.caOnly ? ' (CA)' : ''}`;
  };
  expect(
    [
      'kubernetes://web',
      'kubernetes://a/web',
      'kubernetes://web-cacert',
      'kubernetes-gateway://a/web',
      'configmap://a/roots',
    ].map(parse),
  ).toEqual(['own web', 'a web', 'own web-cacert or web (CA)', 'a web', 'a roots (CA)']);
  expect(
    [
      'default',
      'ROOTCA',
      'file-root:system',
      'invalid://x',
      'kubernetes-gateway://web',
      'configmap://x',
      'kubernetes://a/b/c',
      'kubernetes://',
    ].map(parse),
  ).toEqual(Array.from({ length: 8 }));
});

test('no text makes the PEM reader throw or take long', () => {
  const piece = fc.constantFrom('-----BEGIN ', '-----', 'CERTIFICATE', '-----END ', '\n', 'AAAA', '=', ':', ' ');
  const text = fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (pem) => {
      parsePem(pem);
      return 'code' in caOf(secretOf({ 'ca.crt': pem || 'x' }), now);
    }),
    { numRuns: 2000 },
  );
  const took = processorMsOf(() => {
    parsePem('-----BEGIN A-----'.repeat(50_000));
    parsePem(`-----BEGIN CERTIFICATE-----${'A '.repeat(450_000)}`);
  });
  expect(took).toBeLessThan(2000);
});

test('a fresh pair of node:crypto is usable too', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  expect(keyPairOf(secretOf({ cert: certificateOf(pem), key: pem }), now)).toHaveProperty('credential');
});

function secretOf(data: Readonly<Record<string, string | Buffer>>): Secret {
  const encoded = Object.entries(data).map(([name, value]) => [name, Buffer.from(value as string).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'web', namespace: 'a' },
    data: Object.fromEntries(encoded),
  };
}

function certificateOf(pem: string): string {
  return openssl(['req', '-x509', '-new', '-key', 'key', '-subj', '/CN=web', '-days', '10'], { key: pem });
}
