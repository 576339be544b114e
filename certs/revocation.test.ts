// Revocation lists made by openssl: which are taken, and why others are not.

import { describe, expect, test } from 'vitest';
import { formatPem, parsePem } from '../config/pem.ts';
import { makeCa, pluggedFilesOf } from '../test/support/plugged-ca.ts';
import { processorMsOf } from '../test/support/processor-time.ts';
import { fc } from '../test/support/property.ts';
import { Authority, type AuthoritySource, type AuthorityState, revocationsOf } from './authority.ts';
import { systemEnvironment } from './environment.ts';
import { readPlugged } from './plugged.ts';
import { isRefused, type Refusal } from './refusal.ts';

const day = 86_400_000;
const root = makeCa('root');
const middle = makeCa('middle', root);
const other = makeCa('other', root);
const namesake = makeCa('middle');
const mute = makeCa('mute', root, 'keyCertSign');
const both = root.list() + middle.list();

function stateOf(lists?: string, signer = middle): AuthorityState {
  const state = readPlugged(new Map(Object.entries(pluggedFilesOf(signer, root, lists))), Date.now());
  if (isRefused(state)) throw new Error(state.reason);
  return state;
}

describe('lists that are taken', () => {
  test.each([
    ['of the signer and its root', both],
    ['with revoked certificates', root.list({ revoked: ['05', '0A'] }) + middle.list({ revoked: ['0102030405'] })],
    ['with text between them', `about them\n${both}`],
    ['of another CA too, however old', both + other.list({ begins: -2 * day, ends: -day })],
    ['twice', both + both],
    ['that begins in a moment', root.list({ begins: 120_000 }) + middle.list()],
  ])('%s', (_what, lists) => {
    const { revocations } = stateOf(lists);
    expect(isRefused(revocations) ? revocations.reason : revocations?.pem).toBe(lists);
    expect(revocationsOf(stateOf(lists))?.lists.length).toBe(lists.split('BEGIN X509 CRL').length - 1);
  });

  test('of a root that signs itself', () => {
    expect(revocationsOf(stateOf(root.list(), root))?.lists).toHaveLength(1);
  });

  test('none is none: no file, or an empty one', () => {
    for (const lists of [undefined, '', '\n']) expect(revocationsOf(stateOf(lists))).toEqual({ pem: '', lists: [] });
  });

  test('the first end counts', () => {
    const { first } = revocationsOf(stateOf(root.list({ ends: 9 * day }) + middle.list({ ends: 2 * day }))) ?? {};
    expect(Math.round(((first?.notAfter ?? 0) - Date.now()) / day)).toBe(2);
  });
});

test.each([
  ['text', 'x', /^ca-crl\.pem cannot be used: there is no PEM block X509 CRL$/],
  ['a certificate', root.certificate, /PEM block 1 is a CERTIFICATE, not an X509 CRL/],
  ['a key', root.key, /PEM block 1 is a PRIVATE KEY, not an X509 CRL/],
  ['bytes that are none', '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n', /PEM block 1 cannot be read/],
  ['a cut one', `${both}${both.slice(0, 200)}`, /PEM block 3 has no END line/],
  ['the signer’s alone', middle.list(), /there is no list of CN=root, without which every peer would be refused/],
  ['the root’s alone', root.list(), /there is no list of CN=middle/],
  [
    'one that has ended',
    root.list() + middle.list({ begins: -2 * day, ends: -day }),
    /list of CN=middle has ended at 20/,
  ],
  ['one of the future', root.list({ begins: day, ends: 2 * day }) + middle.list(), /list of CN=root begins only at 20/],
  ['one signed by a namesake', root.list() + namesake.list(), /list of CN=middle does not carry its signature/],
  ['too many', both.repeat(51), /more than 100 PEM blocks/],
])('%s is not taken', (_what, lists, reason) => {
  const { revocations } = stateOf(lists);
  expect(isRefused(revocations) ? revocations.reason : 'taken').toMatch(reason);
});

test('a CA that may not sign lists has none', () => {
  const { revocations } = stateOf(root.list() + mute.list(), mute);
  expect(isRefused(revocations) && revocations.reason).toMatch(/CN=mute counts for nobody: .* no key usage cRLSign/);
});

test('a list of many entries is read in moments', () => {
  const revoked = Array.from({ length: 12_000 }, (_, i) => `01${i.toString(16).padStart(6, '0')}`);
  const lists = root.list({ revoked }) + middle.list();
  const took = processorMsOf(() => expect(revocationsOf(stateOf(lists))?.pem).toBe(lists));
  expect(took).toBeLessThan(500);
});

test('no mutation of a list crashes or is taken', () => {
  const [good = Buffer.alloc(0)] = parsePem(root.list({ revoked: ['05'] })).blocks.map(({ der }) => der);
  const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 8 });
  fc.assert(
    fc.property(edits, fc.nat(20), (changes, cut) => {
      const bytes = Buffer.from(good);
      for (const [at, by] of changes) bytes[at] = (bytes[at] ?? 0) ^ by;
      const mutated = bytes.subarray(0, bytes.length - cut);
      const { revocations } = stateOf(formatPem('X509 CRL', mutated), root);
      return isRefused(revocations) || mutated.equals(good);
    }),
    { numRuns: 1000 },
  );
});

test('without the setting they are no business of the authority', () => {
  const files = new Map(Object.entries(pluggedFilesOf(middle, root, both)));
  expect(readPlugged(files, Date.now(), { revocations: false })).not.toHaveProperty('revocations');
});

describe('an authority that follows them', () => {
  async function open(first: AuthorityState) {
    let next: AuthorityState | Refusal = first;
    let now = Date.now();
    const source: AuthoritySource = { kind: 'plugged', load: async () => next };
    const authority = await Authority.open(source, { ...systemEnvironment, now: () => now });
    if (isRefused(authority)) throw new Error(authority.reason);
    const told: string[] = [];
    authority.subscribe((state) => told.push(revocationsOf(state)?.pem ?? 'unknown'));
    const load = async (state: AuthorityState, later = 0): Promise<readonly string[]> => {
      next = state;
      now = Date.now() + later;
      await authority.refresh();
      return authority.diagnostics().map(({ severity, message }) => `${severity} ${message}`);
    };
    return { authority, told, load };
  }

  test('takes good ones and their absence, and keeps the last good ones through bad ones', async () => {
    const { authority, told, load } = await open(stateOf());
    expect(await load(stateOf(both))).toEqual([]);
    const [problem] = await load(stateOf('x'));
    expect(problem).toBe(
      'error ca-crl.pem cannot be used: there is no PEM block X509 CRL; the last lists stay in force',
    );
    expect(revocationsOf(authority.state)?.pem).toBe(both);
    expect(await load(stateOf())).toEqual([]);
    expect(told).toEqual([both, '']);
    expect(await load(stateOf('x'))).toEqual(['error ca-crl.pem cannot be used: there is no PEM block X509 CRL']);
    expect(told).toEqual([both, '', 'unknown']);
  });

  test('takes no other signer with lists that do not know it, and does once they do', async () => {
    const { authority, load } = await open(stateOf(both));
    const before = authority.state.signer.id;
    expect(await load(stateOf(both, other))).toEqual([
      'error ca-crl.pem cannot be used: there is no list of CN=other, without which every peer would be refused; the CA in use stays',
    ]);
    expect(authority.state.signer.id).toBe(before);
    expect(await load(stateOf(both + other.list(), other))).toEqual([]);
    expect(authority.state.signer.id).not.toBe(before);
  });

  test('warns in the last quarter of a list’s life, and says when it is over', async () => {
    const lists = stateOf(root.list({ begins: -day, ends: 7 * day }) + middle.list({ ends: 30 * day }));
    const { load } = await open(lists);
    expect(await load(lists, 4 * day)).toEqual([]);
    expect(await load(lists, 5.5 * day)).toEqual([
      'warning a revocation list ends in 1 days: proxies refuse every peer from then on',
    ]);
    expect(await load(lists, 8 * day)).toEqual([
      'warning a revocation list in force has ended: proxies refuse every peer',
    ]);
  });

  test('tells at its start what is wrong', async () => {
    const { authority } = await open(stateOf('x'));
    expect(authority.diagnostics()).toHaveLength(1);
  });
});
