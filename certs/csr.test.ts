// Certificate signing requests: what is accepted, and a table of hostile ones with the reason each is refused for.

import { describe, expect, test } from 'vitest';
import { formatPem } from '../config/pem.ts';
import { ecKeys, makeCsr, makeCsrDer, rsaKeys } from '../test/support/csr.ts';
import { openssl } from '../test/support/openssl.ts';
import { fc } from '../test/support/property.ts';
import { checkCsr } from './csr.ts';
import { oid, sequence, setOf } from './der-write.ts';
import { isRefused } from './refusal.ts';

const keys = ecKeys();
const good = makeCsrDer(keys);
const label = 'CERTIFICATE REQUEST';
const rsaSha256 = '1.2.840.113549.1.1.11';
const ecSha256 = '1.2.840.10045.4.3.2';

describe('accepted', () => {
  const requests: readonly (readonly [string, string])[] = [
    ['EC P-256', makeCsr(keys)],
    ['EC P-384 with SHA-384', makeCsr(ecKeys('secp384r1'), { hash: 'sha384' })],
    ['RSA 2048', makeCsr(rsaKeys())],
    ['RSA 3072 with SHA-512', makeCsr(rsaKeys(3072), { hash: 'sha512' })],
    ['with line ends of Windows', makeCsr(keys).replaceAll('\n', '\r\n')],
    ['RSA without the NULL of its algorithm', makeCsr(rsaKeys(), { identifier: sequence(oid(rsaSha256)) })],
    ['no names at all', makeCsr(keys, { uris: [] })],
    ['made by openssl', openssl(['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k', '-subj', '/CN=x'])],
  ];
  test.each(requests)('%s', async (_, pem) => {
    expect(await checkCsr(pem)).toMatchObject({ keyKind: expect.stringMatching(/rsa|ec/) });
  });
});

describe('refused', () => {
  const flipped = Buffer.from(good);
  flipped[flipped.length - 3] = (flipped.at(-3) ?? 0) ^ 1;
  const nested = Array.from({ length: 500 }).reduce<Buffer>((inner) => sequence(inner), Buffer.alloc(0));
  const manyNames = makeCsr(keys, {
    uris: Array.from({ length: 20_000 }, (_, i) => `spiffe://cluster.local/ns/a/sa/${i}-${'x'.repeat(20)}`),
  });
  const ed25519 = openssl(['req', '-new', '-newkey', 'ed25519', '-nodes', '-keyout', 'k', '-subj', '/CN=x']);
  const sha1 = openssl(['req', '-new', '-sha1', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k', '-subj', '/CN=x']);
  const requests: readonly (readonly [name: string, pem: string, reason: RegExp])[] = [
    ['a bad signature', formatPem(label, flipped), /not signed by the key/],
    ['a signature of another key', makeCsr(keys, { signedBy: ecKeys() }), /not signed by the key/],
    ['a signature of another kind of key', makeCsr(keys, { signedBy: rsaKeys() }), /signature algorithm/],
    ['an algorithm that is a SET', makeCsr(keys, { identifier: setOf(oid(ecSha256)) }), /signature algorithm/],
    [
      'an algorithm with more',
      makeCsr(keys, { identifier: sequence(oid(ecSha256), oid('1.2.3')) }),
      /signature algorithm/,
    ],
    ['Ed25519', ed25519, /neither RSA nor EC/],
    ['P-521', makeCsr(ecKeys('secp521r1')), /neither RSA nor EC/],
    ['secp256k1', makeCsr(ecKeys('secp256k1')), /neither RSA nor EC/],
    ['RSA 1024', makeCsr(rsaKeys(1024)), /fewer than 2048/],
    ['SHA-1', sha1, /signature algorithm/],
    ['1 MB of names', manyNames, /longer than/],
    ['trailing bytes in the DER', formatPem(label, Buffer.concat([good, Buffer.from([0])])), /trailing bytes/],
    ['text after the block', `${makeCsr(keys)}x`, /not exactly one/],
    ['text before the block', `x\n${makeCsr(keys)}`, /not exactly one/],
    ['two blocks', makeCsr(keys) + makeCsr(keys), /not one PEM block/],
    ['deep nesting', formatPem(label, nested), /nested too deeply/],
    ['another label', formatPem('CERTIFICATE', good), /not exactly one/],
    ['an empty string', '', /not one PEM block/],
    ['an encrypted block', makeCsr(keys).replace('-----\n', '-----\nProc-Type: 4,ENCRYPTED\n'), /encrypted/],
    ['an indefinite length', formatPem(label, Buffer.from('3080020100', 'hex')), /indefinite/],
    ['a length that is not minimal', formatPem(label, Buffer.from('308103020100', 'hex')), /not minimal/],
    ['not a request', formatPem(label, sequence(sequence())), /not a PKCS #10/],
  ];
  test.each(requests)('%s', async (_, pem, reason) => {
    const result = await checkCsr(pem);
    expect(isRefused(result) ? result.reason : 'accepted').toMatch(reason);
  });

  test('a request cut off at any byte', async () => {
    for (let length = 0; length < good.length; length += 7) {
      const result = await checkCsr(formatPem(label, good.subarray(0, length)));
      expect(isRefused(result)).toBe(true);
    }
  });
});

test('no mutation of a request crashes, takes long, or is accepted', async () => {
  const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(20), async (changes, cut) => {
      const bytes = Buffer.from(good);
      for (const [at, by] of changes) {
        bytes[at] = (bytes[at] ?? 0) ^ by;
      }
      const mutated = bytes.subarray(0, bytes.length - cut);
      const result = await checkCsr(formatPem(label, mutated));
      return isRefused(result) || mutated.equals(good);
    }),
    { numRuns: 1500 },
  );
});

test('no text crashes', async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.string({ maxLength: 300 }).map((s) => `-----BEGIN ${label}-----\n${s}\n-----END ${label}-----`),
  );
  await fc.assert(
    fc.asyncProperty(text, async (pem) => isRefused(await checkCsr(pem))),
    { numRuns: 1000 },
  );
});
