// TLS Secrets that no Envoy would take are pointed out; others are nobody's business.
import { expect, test } from 'vitest';
import { openssl } from '../../test/support/openssl.ts';
import { validateObject } from '../validate.ts';

const key = openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
const certificate = openssl(['req', '-x509', '-new', '-key', 'key', '-subj', '/CN=a', '-days', '10'], { key });
const secretOf = (type: string, data: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'web', namespace: 'a' },
  type,
  stringData: data,
});

test.each<readonly [string, string, Readonly<Record<string, string>>, readonly string[]]>([
  ['sound', 'kubernetes.io/tls', { 'tls.crt': certificate, 'tls.key': key }, []],
  ['opaque', 'Opaque', { 'tls.crt': 'x' }, []],
  ['no key', 'kubernetes.io/tls', { 'tls.crt': certificate }, ['the Secret has no certificate or no key']],
  [
    'a CA that is none',
    'kubernetes.io/tls',
    { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': 'x' },
    ['there is no CA certificate'],
  ],
])('%s', (_, type, data, messages) => {
  const findings = validateObject(secretOf(type, data));
  expect(findings.map(({ message }) => message)).toEqual(messages);
  expect(findings.every(({ severity, code }) => severity === 'warning' && code === 'invalid-secret')).toBe(true);
});
