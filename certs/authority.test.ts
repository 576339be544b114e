// The authority: first start, races, renewal, plugged-in directories and their reloads, rotation and crashes in it.
import { mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openssl, opensslVerify } from '../test/support/openssl.ts';
import { Authority, type AuthoritySource } from './authority.ts';
import { caDirectory } from './ca-directory.ts';
import type { CaRecord, CaStore } from './ca-record.ts';
import { formatCertificate } from './certificate.ts';
import { systemEnvironment } from './environment.ts';
import { hasPluggedCa, pluggedSource, readPlugged } from './plugged.ts';
import { isRefused } from './refusal.ts';
import { createRoot, defaultRootLifetime } from './root.ts';
import { alone, beginRotation, type ReplicaAgreement, rotationDriver, steerRotation } from './rotation-driver.ts';
import { readOrCreate, selfSignedSource } from './self-signed.ts';

const day = 24 * 3600 * 1000;
const options = { organisation: 'cluster.local', lifetime: defaultRootLifetime, algorithm: 'ec-p256' } as const;
const directories: string[] = [];

afterEach(async () => {
  await Promise.all(directories.splice(0).map((dir) => rm(dir, { recursive: true })));
});

describe('the self-signed authority', () => {
  test('makes a root on first start, readable by its owner only, and finds it again', async () => {
    const dir = join(await newDirectory(), 'ca');
    const first = await open(selfSignedSource(caDirectory(dir), options, systemEnvironment));
    expect((await stat(join(dir, 'authority.1.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    const second = await open(selfSignedSource(caDirectory(dir), options, systemEnvironment));
    expect(second.state.bundle.version).toBe(first.state.bundle.version);
    expect(first.state.signer.notAfter).toBeGreaterThan(Date.now() + 9.9 * 365 * day);
  });

  test('of several first starts at once one makes the root', async () => {
    const dir = await newDirectory();
    const all = await Promise.all(
      Array.from({ length: 8 }, () => readOrCreate(caDirectory(dir), options, systemEnvironment)),
    );
    expect(new Set(all.map((stored) => (isRefused(stored) ? 'refused' : stored.record['ca-cert.pem']))).size).toBe(1);
  });

  test.each(['{', '[]', '{"ca-cert.pem": 5}', '{}', '{"ca-cert.pem":"x","ca-key.pem":"y"}'])(
    'a damaged record is refused and left alone: %s',
    async (content) => {
      const dir = await newDirectory();
      await writeFile(join(dir, 'authority.1.json'), content);
      const authority = await Authority.open(
        selfSignedSource(caDirectory(dir), options, systemEnvironment),
        systemEnvironment,
      );
      expect(isRefused(authority)).toBe(true);
      expect(await readFile(join(dir, 'authority.1.json'), 'utf8')).toBe(content);
    },
  );

  test('renews its root with the same key in the last fifth of its life, once for all replicas', async () => {
    let now = Date.now();
    const env = { ...systemEnvironment, now: () => now };
    const store = memoryStore();
    const short = { ...options, lifetime: 100 * day };
    const one = await open(selfSignedSource(store, short, env), env);
    const two = await open(selfSignedSource(store, short, env), env);
    const before = one.state;
    now += 79 * day;
    await one.refresh();
    expect(one.state).toBe(before);
    now += 2 * day;
    await Promise.all([one.refresh(), two.refresh()]);
    await Promise.all([one.refresh(), two.refresh()]);
    expect(one.state.signer.id).toBe(before.signer.id);
    expect(one.state.signer.notAfter).toBeGreaterThan(now + 99 * day);
    expect(one.state.bundle.roots.length).toBe(1);
    expect(two.state.bundle.version).toBe(one.state.bundle.version);
  });

  test('two writers never overwrite each other', async () => {
    const store = caDirectory(await newDirectory());
    const stored = await readOrCreate(store, options, systemEnvironment);
    if (isRefused(stored)) {
      throw new Error(stored.reason);
    }
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, i) => store.replace({ ...stored.record, writer: String(i) }, stored.version)),
    );
    expect(results.filter((result) => result === 'replaced').length).toBe(1);
  });
});

describe('a plugged-in CA', () => {
  const files = pluggedFiles();

  test.each([
    ['root as signer', { 'ca-cert.pem': files.root, 'ca-key.pem': files.rootKey, 'root-cert.pem': files.root }, 0],
    ['intermediate under the root', plug(files), 1],
    ['intermediate with its chain', { ...plug(files), 'cert-chain.pem': files.intermediate + files.root }, 1],
    ['TLS Secret names', { 'tls.crt': files.intermediate, 'tls.key': files.intermediateKey, 'ca.crt': files.root }, 1],
    [
      'a bad block among the roots',
      { ...plug(files), 'root-cert.pem': `-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n${files.root}` },
      1,
    ],
  ])('%s', (_, content, intermediates) => {
    const state = readPlugged(new Map(Object.entries(content)), Date.now());
    if (isRefused(state)) {
      throw new Error(state.reason);
    }
    expect(state.signer.intermediates.length).toBe(intermediates);
    expect(opensslVerify(formatCertificate(state.signer.certificate), [], state.bundle.pem, 'any')).toBe('OK');
  });

  test.each([
    ['no key', { 'ca-cert.pem': files.root, 'root-cert.pem': files.root }, /incomplete: ca-key.pem missing/],
    ['no root', { 'tls.crt': files.root, 'tls.key': files.rootKey }, /incomplete: ca.crt missing/],
    ['key of another', { ...plug(files), 'ca-key.pem': files.rootKey }, /does not belong/],
    ['another root', { ...plug(files), 'root-cert.pem': files.other }, /no chain/],
    [
      'a leaf as CA',
      { 'ca-cert.pem': files.leaf, 'ca-key.pem': files.leafKey, 'root-cert.pem': files.root },
      /not marked as a CA/,
    ],
    ['garbage', { ...plug(files), 'ca-cert.pem': 'x' }, /not readable PEM/],
    ['an empty root file', { ...plug(files), 'root-cert.pem': '' }, /holds no certificate/],
  ])('refused: %s', (_, content, reason) => {
    const state = readPlugged(new Map(Object.entries(content)), Date.now());
    expect(isRefused(state) ? state.reason : 'accepted').toMatch(reason);
    expect(isRefused(state) ? state.reason : '').not.toContain('PRIVATE KEY');
  });

  test('an incomplete directory is a plugged-in CA that fails, an absent or empty one is none', async () => {
    const dir = await newDirectory();
    expect(await hasPluggedCa(join(dir, 'absent'))).toBe(false);
    expect(await hasPluggedCa(dir)).toBe(false);
    await writeFile(join(dir, 'ca-cert.pem'), files.root);
    expect(await hasPluggedCa(dir)).toBe(true);
    expect(isRefused(await Authority.open(pluggedSource(dir, systemEnvironment), systemEnvironment))).toBe(true);
  });

  test('is reloaded through Kubernetes’ symlink swap, and keeps the last good one through a bad swap', async () => {
    const dir = await newDirectory();
    await mount(dir, 'v1', plug(files));
    for (const name of Object.keys(plug(files))) {
      await symlink(join('..data', name), join(dir, name));
    }
    const authority = await open(pluggedSource(dir, systemEnvironment));
    const first = authority.state.signer.id;

    const changed = new Promise<void>((resolve) => void authority.subscribe(() => resolve()));
    await mount(dir, 'v2', {
      'ca-cert.pem': files.second,
      'ca-key.pem': files.secondKey,
      'root-cert.pem': files.root + files.other,
    });
    await changed;
    expect(authority.state.signer.id).not.toBe(first);
    expect(authority.state.bundle.roots.length).toBe(2);
    const good = authority.state;

    await mount(dir, 'v3', { ...plug(files), 'ca-key.pem': files.rootKey });
    await authority.refresh();
    expect(authority.state).toBe(good);
    expect(authority.diagnostics()[0]?.message).toMatch(/does not belong.*the CA in use stays/);

    await mount(dir, 'v4', plug(files));
    await authority.refresh();
    expect(authority.state.signer.id).toBe(first);
    expect(authority.diagnostics()).toEqual([]);
  });

  test('roots that share nothing with those in use are refused', async () => {
    const dir = await newDirectory();
    await mount(dir, 'v1', plug(files));
    for (const name of Object.keys(plug(files))) {
      await symlink(join('..data', name), join(dir, name));
    }
    const authority = await open(pluggedSource(dir, systemEnvironment));
    const before = authority.state;
    await mount(dir, 'v2', { 'ca-cert.pem': files.other, 'ca-key.pem': files.otherKey, 'root-cert.pem': files.other });
    await authority.refresh();
    expect(authority.state).toBe(before);
    expect(authority.diagnostics()[0]?.message).toMatch(/share none/);
  });
});

describe('rotation', () => {
  test('goes through its steps, waits for laggards, and a restart in any step continues it', async () => {
    const store = memoryStore();
    const source = () => selfSignedSource(store, options, systemEnvironment);
    let laggards: readonly string[] = ['web-1'];
    const restart = async () => {
      const authority = await open(source());
      const driverOptions = { minimumStep: 0, monotonic: () => performance.now(), replicas: alone };
      return { authority, driver: rotationDriver(authority, store, () => laggards, driverOptions, systemEnvironment) };
    };
    let { authority, driver } = await restart();
    const old = authority.state;
    expect(await driver.tick()).toBe('steady');

    await beginRotation(store, options, systemEnvironment);
    expect(isRefused(await beginRotation(store, options, systemEnvironment))).toBe(true);
    expect(await driver.tick()).toBe('trust-both');
    expect((await driver.status()).laggards).toEqual(['web-1']);
    expect(authority.state.bundle.roots.length).toBe(2);
    expect(authority.state.signer.id).toBe(old.signer.id);
    const both = authority.state.bundle.version;

    ({ authority, driver } = await restart());
    expect(await driver.tick()).toBe('trust-both');
    laggards = [];
    await steerRotation(store, 'hold');
    expect(await driver.tick()).toBe('trust-both');
    await steerRotation(store, 'resume');
    expect(await driver.tick()).toBe('sign-new');
    expect(authority.state.signer.id).not.toBe(old.signer.id);
    expect(authority.state.bundle.version).toBe(both);
    expect(isRefused(await steerRotation(store, 'cancel'))).toBe(true);

    laggards = ['web-2'];
    ({ authority, driver } = await restart());
    expect(await driver.tick()).toBe('sign-new');
    laggards = [];
    expect(await driver.tick()).toBe('steady');
    expect(authority.state.bundle.roots.length).toBe(1);
    expect(authority.state.bundle.roots[0]?.der.equals(old.signer.certificate.der)).toBe(false);
    ({ authority } = await restart());
    expect(authority.state.bundle.roots.length).toBe(1);
  });

  test('cancelled in its first step, it leaves the old root alone', async () => {
    const store = memoryStore();
    const authority = await open(selfSignedSource(store, options, systemEnvironment));
    const before = authority.state.bundle.version;
    await beginRotation(store, options, systemEnvironment);
    await authority.refresh();
    expect(authority.state.bundle.version).not.toBe(before);
    await steerRotation(store, 'cancel');
    await authority.refresh();
    expect(authority.state.bundle.version).toBe(before);
  });

  test('keeps roots that an operator added', async () => {
    const store = memoryStore();
    const authority = await open(selfSignedSource(store, options, systemEnvironment));
    const extra = await createRoot({ ...options, organisation: 'other' }, systemEnvironment);
    const stored = await store.read();
    if (isRefused(extra) || isRefused(stored) || stored === undefined) {
      throw new Error('no record');
    }
    await store.replace({ ...stored.record, 'root-cert.pem': extra.certificatePem }, stored.version);
    const driver = rotationDriver(
      authority,
      store,
      () => [],
      { minimumStep: 0, monotonic: () => performance.now(), replicas: alone },
      systemEnvironment,
    );
    await beginRotation(store, options, systemEnvironment);
    await driver.tick();
    expect(authority.state.bundle.roots.length).toBe(3);
    expect(await driver.tick()).toBe('steady');
    expect(authority.state.bundle.roots.length).toBe(2);
    expect(authority.state.bundle.pem).toContain(extra.certificatePem);
  });

  test('waits its minimum time and for the other replicas', async () => {
    let now = Date.now();
    let monotonic = 0;
    const env = { ...systemEnvironment, now: () => now };
    const store = memoryStore();
    const authority = await open(selfSignedSource(store, options, env), env);
    let isAgreed = false;
    const replicas: ReplicaAgreement = {
      agree: async (_place, judge) => {
        const { ready } = await judge();
        return { mayStep: () => ready && isAgreed, waiting: [] };
      },
    };
    const driver = rotationDriver(
      authority,
      store,
      () => [],
      { minimumStep: 1000, monotonic: () => monotonic, replicas },
      env,
    );
    await beginRotation(store, options, env);
    // Clocks of other machines, and this one's jumps, make no step shorter.
    now += 3_600_000;
    isAgreed = true;
    expect(await driver.tick()).toBe('trust-both');
    isAgreed = false;
    monotonic += 1000;
    expect(await driver.tick()).toBe('trust-both');
    isAgreed = true;
    expect(await driver.tick()).toBe('sign-new');
    expect(await driver.tick()).toBe('sign-new');
    monotonic += 1000;
    expect(await driver.tick()).toBe('steady');
  });
});

async function open(source: AuthoritySource, env = systemEnvironment): Promise<Authority> {
  const authority = await Authority.open(source, env);
  if (isRefused(authority)) {
    throw new Error(authority.reason);
  }
  return authority;
}

async function newDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'authority-'));
  directories.push(dir);
  return dir;
}

/** Writes a version as kubelet does: a new directory, then the symlink `..data` swapped to it. */
async function mount(dir: string, version: string, content: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(dir, `..${version}`));
  for (const [name, text] of Object.entries(content)) {
    await writeFile(join(dir, `..${version}`, name), text);
  }
  await symlink(`..${version}`, join(dir, '..data_tmp'));
  await rename(join(dir, '..data_tmp'), join(dir, '..data'));
}

function memoryStore(): CaStore {
  let stored: { record: CaRecord; version: string } | undefined;
  let version = 0;
  return {
    read: async () => stored,
    create: async (record) => {
      if (stored !== undefined) {
        return 'exists';
      }
      stored = { record, version: String(++version) };
      return 'created';
    },
    replace: async (record, expected) => {
      if (stored?.version !== expected) {
        return 'conflict';
      }
      stored = { record, version: String(++version) };
      return 'replaced';
    },
  };
}

function plug(files: ReturnType<typeof pluggedFiles>): Readonly<Record<string, string>> {
  return { 'ca-cert.pem': files.intermediate, 'ca-key.pem': files.intermediateKey, 'root-cert.pem': files.root };
}

/** A root, two intermediates and a leaf under it, and an unrelated root, all made by openssl. */
function pluggedFiles() {
  const newKey = () => openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const ca = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n';
  const newRoot = (key: string, name: string) =>
    openssl(
      [
        'req',
        '-x509',
        '-new',
        '-key',
        'key',
        '-subj',
        `/CN=${name}`,
        '-days',
        '200',
        '-addext',
        'keyUsage=critical,keyCertSign',
      ],
      { key },
    );
  const rootKey = newKey();
  const root = newRoot(rootKey, 'root');
  const newChild = (key: string, name: string, extensions: string) => {
    const csr = openssl(['req', '-new', '-key', 'key', '-subj', `/CN=${name}`], { key });
    const args = [
      'x509',
      '-req',
      '-in',
      'csr',
      '-CA',
      'ca',
      '-CAkey',
      'cakey',
      '-CAcreateserial',
      '-days',
      '100',
      '-extfile',
      'ext',
    ];
    return openssl(args, { csr, ca: root, cakey: rootKey, ext: `${extensions}authorityKeyIdentifier=keyid\n` });
  };
  const [intermediateKey, secondKey, leafKey, otherKey] = [newKey(), newKey(), newKey(), newKey()];
  return {
    root,
    rootKey,
    intermediate: newChild(intermediateKey, 'intermediate', ca),
    intermediateKey,
    second: newChild(secondKey, 'second', ca),
    secondKey,
    leaf: newChild(leafKey, 'leaf', 'basicConstraints=critical,CA:FALSE\n'),
    leafKey,
    other: newRoot(otherKey, 'other'),
    otherKey,
  };
}
