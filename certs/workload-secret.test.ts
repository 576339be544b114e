// Secrets of agentless proxies: one per identity, renewed at half life, following the signer and the roots, let go of in time.
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { accepted, memoryStore, rootOptions } from '../test/support/certificate-server.ts';
import { opensslVerify } from '../test/support/openssl.ts';
import { Authority } from './authority.ts';
import type { CaStore } from './ca-record.ts';
import { systemEnvironment as env } from './environment.ts';
import { isRefused } from './refusal.ts';
import { alone, beginRotation, rotationDriver } from './rotation-driver.ts';
import { selfSignedSource } from './self-signed.ts';
import { serverNames } from './server-certificate.ts';
import { defaultWorkloadSecretOptions, type WorkloadSecret, WorkloadSecrets } from './workload-secret.ts';

const web = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' };
const db = { ...web, serviceAccount: 'db' };
const open: Disposable[] = [];

afterEach(() => {
  for (const each of open.splice(0)) {
    each[Symbol.dispose]();
  }
});

describe('workload secrets', () => {
  test('are a key, a certificate of that identity and the roots', async () => {
    const { secrets } = await setUp();
    const secret = await accepted(secrets.acquire(web, 'web-1')).ready();
    expect(opensslVerify(secret.certificateChain, [], secret.rootBundle)).toBe('OK');
    const leaf = new X509Certificate(secret.certificateChain);
    expect(leaf.subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/web');
    expect(secret.privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  });

  test('are one per identity, never shared between identities', async () => {
    const { secrets } = await setUp();
    const [one, two, three] = [secrets.acquire(web, 'a'), secrets.acquire(web, 'b'), secrets.acquire(db, 'c')].map(
      accepted,
    );
    const [first, second, third] = await Promise.all([one?.ready(), two?.ready(), three?.ready()]);
    expect(first).toBe(second);
    expect(third?.privateKey).not.toBe(first?.privateKey);
    expect(secrets.size).toBe(2);
  });

  test('are renewed with a new key at half their life', async () => {
    const { secrets } = await setUp({ lifetimeSeconds: () => 4 });
    const lease = accepted(secrets.acquire(web, 'a'));
    const first = await lease.ready();
    const next = await new Promise<WorkloadSecret>((resolve) => void lease.subscribe(resolve));
    expect(Date.now()).toBeLessThan(first.notAfter - 500);
    expect(next.privateKey).not.toBe(first.privateKey);
    expect(next.notAfter).toBeGreaterThan(first.notAfter);
    expect(lease.current()).toBe(next);
  });

  test('outlive their last stream for a moment only', async () => {
    const { secrets } = await setUp({ linger: 30 });
    const lease = accepted(secrets.acquire(web, 'a'));
    const first = await lease.ready();
    lease.release();
    lease.release();
    expect(await accepted(secrets.acquire(web, 'a')).ready()).toBe(first);
    const other = accepted(secrets.acquire(db, 'b'));
    other.release();
    await sleep(80);
    expect(secrets.size).toBe(1);
  });

  test('are bounded in number', async () => {
    const { secrets } = await setUp({ mostIdentities: 1 });
    accepted(secrets.acquire(web, 'a'));
    accepted(secrets.acquire(web, 'b'));
    expect(isRefused(secrets.acquire(db, 'c'))).toBe(true);
  });

  test('lead a rotation: it waits for each proxy’s acknowledgements, and no secret is ever outside its roots', async () => {
    const { secrets, authority, store } = await setUp();
    const seen: WorkloadSecret[] = [];
    const leases = [accepted(secrets.acquire(web, 'web-1')), accepted(secrets.acquire(db, 'db-1'))];
    for (const lease of leases) {
      const secret = await lease.ready();
      lease.subscribe((next) => seen.push(next));
      lease.acknowledge('ROOTCA', secret);
      lease.acknowledge('default', secret);
    }
    const options = { minimumStep: 0, monotonic: () => performance.now(), replicas: alone };
    const driver = rotationDriver(authority, store, (readiness) => secrets.laggards(readiness), options, env);
    await beginRotation(store, rootOptions, env);
    expect(await driver.tick()).toBe('trust-both');
    expect((await driver.status()).laggards).toEqual(['db-1', 'web-1']);
    const acknowledge = (i: number, name: 'default' | 'ROOTCA') => {
      const secret = leases[i]?.current();
      if (secret !== undefined) {
        leases[i]?.acknowledge(name, secret);
      }
    };
    acknowledge(0, 'ROOTCA');
    expect(await driver.tick()).toBe('trust-both');
    acknowledge(1, 'ROOTCA');
    expect(await driver.tick()).toBe('sign-new');
    expect((await driver.status()).laggards).toEqual(['db-1', 'web-1']);
    const signers = () => leases.map((lease) => lease.current()?.signerId);
    const { id } = authority.state.signer;
    await expect.poll(signers, { timeout: 10_000 }).toEqual([id, id]);
    acknowledge(0, 'default');
    expect((await driver.status()).laggards).toEqual(['db-1']);
    // A proxy that has gone holds nothing up.
    leases[1]?.release();
    expect(await driver.tick()).toBe('steady');
    expect(leases[0]?.current()?.signerId).toBe(authority.state.signer.id);
    for (const secret of seen) {
      expect(opensslVerify(secret.certificateChain, [], secret.rootBundle)).toBe('OK');
    }
    expect(seen.length).toBeGreaterThanOrEqual(5);
  });
});

test('names of the server’s certificate', () => {
  const base = { systemNamespace: 'istio-system', customHosts: [] };
  expect(serverNames(base)).toEqual([
    'istiod.istio-system.svc',
    'istiod-remote.istio-system.svc',
    'istio-pilot.istio-system.svc',
  ]);
  expect(serverNames({ ...base, revision: 'default' })).toEqual(serverNames(base));
  expect(
    serverNames({
      systemNamespace: 'mesh',
      revision: 'canary',
      customHosts: ['localhost', 'Xds.Example.com', 'bad name'],
      discoveryAddress: 'istiod-canary.mesh.svc:15012',
    }),
  ).toEqual([
    'localhost',
    'xds.example.com',
    'istiod-canary.mesh.svc',
    'istiod.mesh.svc',
    'istiod-remote.mesh.svc',
    'istio-pilot.mesh.svc',
  ]);
});

async function setUp(
  options: Partial<typeof defaultWorkloadSecretOptions> = {},
): Promise<{ readonly secrets: WorkloadSecrets; readonly authority: Authority; readonly store: CaStore }> {
  const store = memoryStore();
  const authority = accepted(await Authority.open(selfSignedSource(store, rootOptions, env), env));
  const secrets = new WorkloadSecrets(authority, { ...defaultWorkloadSecretOptions, ...options }, env);
  open.push(secrets, authority);
  return { secrets, authority, store };
}
