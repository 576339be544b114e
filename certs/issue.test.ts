// Every certificate we make is judged by openssl: chains of both key kinds, names, usages, lifetimes.
import { describe, expect, test } from 'vitest';
import { formatPem } from '../config/pem.ts';
import { ecKeys, makeCsr, rsaKeys } from '../test/support/csr.ts';
import { opensslText, opensslVerify } from '../test/support/openssl.ts';
import { parseBundle, type TrustBundle } from './bundle.ts';
import { parseCertificate } from './certificate.ts';
import { checkCsr } from './csr.ts';
import { systemEnvironment } from './environment.ts';
import { commonNameOf, defaultLifetimes, issueLeaf, lifetimeOf, validityOf } from './issue.ts';
import { isRefused } from './refusal.ts';
import { createRoot, isRenewalDue, renewRoot } from './root.ts';
import { type KeyAlgorithm, makeSigner, type Signer } from './signer.ts';

const day = 24 * 3600 * 1000;
const id = 'spiffe://cluster.local/ns/default/sa/web';

describe('chains of every CA key kind with every workload key kind', () => {
  const workloadKeys = { 'EC P-256': ecKeys(), 'EC P-384': ecKeys('secp384r1'), 'RSA 2048': rsaKeys() };
  for (const algorithm of ['ec-p256', 'ec-p384', 'rsa-2048'] satisfies KeyAlgorithm[]) {
    for (const [name, keys] of Object.entries(workloadKeys)) {
      test(`${algorithm} CA, ${name} workload`, async () => {
        const { signer, bundle } = await newAuthority(algorithm);
        const csr = await checkCsr(makeCsr(keys));
        if (isRefused(csr)) {
          throw new Error(csr.reason);
        }
        const leaf = await issueLeaf(signer, leafOf(csr, signer), systemEnvironment);
        const pem = formatPem('CERTIFICATE', leaf);
        expect(opensslVerify(pem, [], bundle.pem, 'sslserver')).toBe('OK');
        expect(opensslVerify(pem, [], bundle.pem, 'sslclient')).toBe('OK');
        const text = opensslText(pem);
        expect(text).toContain(
          'X509v3 Subject Alternative Name: critical\n                URI:spiffe://cluster.local/ns/default/sa/web',
        );
        expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
        expect(text).toMatch(name.startsWith('RSA') ? /Digital Signature, Key Encipherment\n/ : /Digital Signature\n/);
        expect(text).toMatch(/Subject: *\n/);
      });
    }
  }
});

test('certificates after 2049 carry a GeneralizedTime and read back to the second', async () => {
  const now = Date.UTC(2049, 11, 31, 23, 0, 0);
  const env = { ...systemEnvironment, now: () => now };
  const pems = await createRoot({ organisation: 'x', lifetime: 400 * day, algorithm: 'ec-p256' }, env);
  if (isRefused(pems)) {
    throw new Error(pems.reason);
  }
  const { bundle } = parseBundle(pems.certificatePem);
  expect(bundle.roots[0]?.notAfter).toBe(now + 400 * day);
  expect(opensslText(pems.certificatePem)).toContain('2051 GMT');
});

test('a renewed root keeps key and name: what the old one signed verifies under the new one alone', async () => {
  const { signer } = await newAuthority('ec-p256');
  const csr = await checkCsr(makeCsr(ecKeys()));
  if (isRefused(csr)) {
    throw new Error(csr.reason);
  }
  const leaf = await issueLeaf(signer, leafOf(csr, signer), systemEnvironment);
  const renewed = await renewRoot(signer.certificate, signer.key, 20 * 365 * day, systemEnvironment);
  if (isRefused(renewed)) {
    throw new Error(renewed.reason);
  }
  expect(renewed.der.equals(signer.certificate.der)).toBe(false);
  expect(opensslVerify(formatPem('CERTIFICATE', leaf), [], formatPem('CERTIFICATE', renewed.der))).toBe('OK');
});

test('renewal is due in the last fifth of a root’s life', async () => {
  const { signer } = await newAuthority('ec-p256');
  const { notBefore, notAfter } = signer.certificate;
  expect(isRenewalDue(signer.certificate, notBefore + (notAfter - notBefore) * 0.79)).toBe(false);
  expect(isRenewalDue(signer.certificate, notBefore + (notAfter - notBefore) * 0.81)).toBe(true);
});

describe('lifetimes', () => {
  const cases: readonly (readonly [bigint, number | 'refused'])[] = [
    [0n, 86_400],
    [-5n, 86_400],
    [1n, 1],
    [90n * 86_400n, 7_776_000],
    [90n * 86_400n + 1n, 'refused'],
    [2n ** 62n, 'refused'],
  ];
  test.each(cases)('%d seconds requested', (requested, expected) => {
    const given = lifetimeOf(requested, defaultLifetimes);
    expect(isRefused(given) ? 'refused' : given).toBe(expected);
  });

  test('never beyond the signer, and two minutes back', () => {
    expect(validityOf(1_000_000, 3600, 1_500_000)).toEqual({ notBefore: 880_000, notAfter: 1_500_000 });
    expect(validityOf(1_000_000, 100, 1_500_000)).toEqual({ notBefore: 880_000, notAfter: 1_100_000 });
  });
});

test('a common name is given when asked for and when it fits', async () => {
  expect(commonNameOf(false, [id])).toBeUndefined();
  expect(commonNameOf(true, [id])).toBe(id);
  expect(commonNameOf(true, [`spiffe://cluster.local/ns/${'n'.repeat(60)}/sa/x`])).toBeUndefined();
  const { signer, bundle } = await newAuthority('ec-p256');
  const csr = await checkCsr(makeCsr(ecKeys(), { commonName: 'anything' }));
  if (isRefused(csr)) {
    throw new Error(csr.reason);
  }
  expect(csr.wantsCommonName).toBe(true);
  const leaf = formatPem(
    'CERTIFICATE',
    await issueLeaf(signer, { ...leafOf(csr, signer), commonName: id }, systemEnvironment),
  );
  expect(opensslText(leaf)).toContain(`Subject: CN = ${id}`);
  expect(opensslVerify(leaf, [], bundle.pem)).toBe('OK');
});

test('serial numbers are positive, random and distinct', async () => {
  const { signer } = await newAuthority('ec-p256');
  const csr = await checkCsr(makeCsr(ecKeys()));
  if (isRefused(csr)) {
    throw new Error(csr.reason);
  }
  const env = { ...systemEnvironment, randomBytes: (size: number) => Buffer.alloc(size, 0xff) };
  const odd = parseCertificate(await issueLeaf(signer, leafOf(csr, signer), env));
  expect(isRefused(odd) ? '' : odd.x509.serialNumber).toBe('7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF');
  const serials = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const leaf = parseCertificate(await issueLeaf(signer, leafOf(csr, signer), systemEnvironment));
    serials.add(isRefused(leaf) ? '' : leaf.x509.serialNumber);
  }
  expect(serials.size).toBe(20);
});

function leafOf(csr: { readonly publicKeyInfo: Buffer; readonly keyKind: 'rsa' | 'ec' }, signer: Signer) {
  return { ...csr, uris: [id], dnsNames: [], ...validityOf(Date.now(), 3600, signer.notAfter) };
}

async function newAuthority(algorithm: KeyAlgorithm): Promise<{ signer: Signer; bundle: TrustBundle }> {
  const pems = await createRoot({ organisation: 'cluster.local', lifetime: 365 * day, algorithm }, systemEnvironment);
  if (isRefused(pems)) {
    throw new Error(pems.reason);
  }
  const { bundle } = parseBundle(pems.certificatePem);
  const signer = makeSigner(pems.certificatePem, pems.keyPem, '', bundle, Date.now());
  if (isRefused(signer)) {
    throw new Error(signer.reason);
  }
  return { signer, bundle };
}
