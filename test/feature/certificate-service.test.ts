// CreateCertificate over gRPC and TLS: reply layout, names, lifetimes, error codes, callers by token and by certificate.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CallerIdentity } from '../../certs/caller.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { RenewingCertificate } from '../../certs/renewing-certificate.ts';
import { beginRotation } from '../../certs/rotation-driver.ts';
import {
  type CertificateServer,
  connect,
  connectPlaintext,
  createCertificate,
  failureOf,
  newToken,
  rootOptions,
  startCertificateServer,
} from '../support/certificate-server.ts';
import { ecKeys, makeCsr, rsaKeys } from '../support/csr.ts';
import { opensslVerify } from '../support/openssl.ts';

const keys = ecKeys();
const csr = makeCsr(keys, { uris: ['spiffe://cluster.local/ns/kube-system/sa/admin'] });
const day = 86_400;
let server: CertificateServer;

beforeAll(async () => {
  server = await startCertificateServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('a reply', () => {
  test.each([
    ['EC', keys],
    ['RSA', rsaKeys()],
  ])('%s: leaf first, roots last, the caller’s name and no other', async (_, pair) => {
    const own = makeCsr(pair, { uris: ['spiffe://cluster.local/ns/kube-system/sa/admin'] });
    const chain = await withClient(async (client) =>
      createCertificate(client, { csr: own, token: await newToken(server, 'default', 'web') }),
    );
    expect(chain.length).toBe(2);
    const [leaf = '', roots = ''] = chain;
    expect(roots).toBe(server.authority.state.bundle.pem);
    expect(opensslVerify(leaf, [], roots)).toBe('OK');
    const certificate = new X509Certificate(leaf);
    expect(certificate.subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/web');
    expect(certificate.publicKey.equals(createPublicKey(pair.publicKey.export({ format: 'pem', type: 'spki' })))).toBe(
      true,
    );
    expect(leaf.endsWith('-----END CERTIFICATE-----\n')).toBe(true);
  });

  test.each([
    [0, day],
    [-1, day],
    [60, 60],
    [90 * day, 90 * day],
  ])('%d seconds asked for', async (seconds, given) => {
    const [leaf = ''] = await withClient(async (client) =>
      createCertificate(client, { csr, seconds, token: await newToken(server, 'a', 'b') }),
    );
    const { validToDate, validFromDate } = new X509Certificate(leaf);
    expect(Math.abs(validToDate.getTime() - Date.now() - given * 1000)).toBeLessThan(5000);
    expect(Math.abs(validFromDate.getTime() - Date.now() + 120_000)).toBeLessThan(5000);
  });
});

describe('error codes', () => {
  const unauthenticated = '16 request authenticate failure';
  test('no token, a wrong token, a token on the plaintext port', async () => {
    const token = await newToken(server, 'default', 'web');
    const plaintext = connectPlaintext(server);
    await withClient(async (client) => {
      expect(await failureOf(createCertificate(client, { csr }))).toBe(unauthenticated);
      expect(await failureOf(createCertificate(client, { csr, token: `${token}x` }))).toBe(unauthenticated);
      expect(await failureOf(createCertificate(plaintext, { csr, token }))).toBe(unauthenticated);
    });
    plaintext.close();
    expect(server.failures.join('\n')).not.toContain(token.slice(20));
  });

  test('CSR and lifetime', async () => {
    const token = await newToken(server, 'default', 'web');
    await withClient(async (client) => {
      expect(await failureOf(createCertificate(client, { csr: 'x', token }))).toMatch(/^3 the CSR/);
      expect(await failureOf(createCertificate(client, { csr, token, seconds: 90 * day + 1 }))).toMatch(
        /^3 .*maximum of 7776000/,
      );
    });
  });

  test('a caller that is not trusted cannot impersonate', async () => {
    const token = await newToken(server, 'default', 'web');
    const impersonate = 'spiffe://cluster.local/ns/default/sa/other';
    await withClient(async (client) => {
      expect(await failureOf(createCertificate(client, { csr, token, impersonate }))).toBe(unauthenticated);
    });
  });

  test('requests beyond the limit are put off', async () => {
    const busy = await startCertificateServer({ service: { mostPending: 0 } });
    const client = connect(busy);
    expect(await failureOf(createCertificate(client, { csr, token: await newToken(busy, 'a', 'b') }))).toMatch(/^14 /);
    client.close();
    await busy[Symbol.asyncDispose]();
  });

  test('everything is counted', () => {
    const { csr_count = 0, ...rest } = Object.fromEntries(server.counts);
    const {
      success_cert_issuance_count,
      authentication_failure_count,
      csr_parsing_err_count,
      id_extraction_err_count,
    } = rest;
    expect({ authentication_failure_count, csr_parsing_err_count, id_extraction_err_count }).toEqual({
      authentication_failure_count: 3,
      csr_parsing_err_count: 2,
      id_extraction_err_count: 1,
    });
    expect(csr_count).toBe((success_cert_issuance_count ?? 0) + 6);
  });
});

describe('client certificates', () => {
  test('one of ours is a credential', async () => {
    await withCertificate(['spiffe://cluster.local/ns/default/sa/web'], async (client) => {
      const [leaf = ''] = await createCertificate(client, { csr });
      expect(new X509Certificate(leaf).subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/web');
    });
  });

  test.each([
    ['no URI name', [], /no URI name/],
    ['another trust domain', ['spiffe://other/ns/default/sa/web'], /our trust domain/],
    ['not a workload', ['https://example.com/'], /our trust domain/],
    ['a second, foreign name', ['spiffe://cluster.local/ns/a/sa/b', 'spiffe://other/ns/a/sa/b'], /our trust domain/],
  ])('refused: %s', async (_, uris, reason) => {
    await withCertificate(uris, async (client) => {
      expect(await failureOf(createCertificate(client, { csr }))).toBe('16 request authenticate failure');
      expect(server.failures.at(-1)).toMatch(reason);
    });
  });

  test('one of another root, and one that has expired, count as none', async () => {
    const other = await startCertificateServer();
    const id = ['spiffe://cluster.local/ns/default/sa/web'];
    await withCertificate(
      id,
      async (client) => expect(await failureOf(createCertificate(client, { csr }))).toMatch(/^16 /),
      other,
    );
    expect(server.failures.at(-1)).toMatch(/no credential/);
    await other[Symbol.asyncDispose]();
    await withCertificate(
      id,
      async (client) => expect(await failureOf(createCertificate(client, { csr }))).toMatch(/^16 /),
      server,
      -60,
    );
    expect(server.failures.at(-1)).toMatch(/no credential/);
  });
});

test('impersonation by a node agent, for the pods on its node only', async () => {
  const agent: CallerIdentity = {
    trustDomain: 'cluster.local',
    namespace: 'istio-system',
    serviceAccount: 'ztunnel',
    podName: 'ztunnel-1',
    podUid: 'u1',
  };
  const node = { uid: 'u1', serviceAccount: 'ztunnel', node: 'node-1' };
  const ztunnel = async () => ({
    kind: 'identities' as const,
    method: 'kubernetes' as const,
    identities: [agent],
    validUntil: Date.now() + 60_000,
  });
  const pods = {
    pod: () => node,
    runsOn: (_: string | undefined, name: string, ns: string, sa: string) =>
      `${name} ${ns}/${sa}` === 'node-1 default/web',
  };
  const impersonation = { accounts: new Set(['istio-system/ztunnel']), pods };
  const own = await startCertificateServer({ authenticators: [ztunnel], service: { impersonation } });
  const client = connect(own);
  const ask = (impersonate: string) => createCertificate(client, { csr, impersonate });
  const chain = await ask('spiffe://cluster.local/ns/default/sa/web');
  expect(new X509Certificate(chain[0] ?? '').subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/web');
  for (const id of ['spiffe://cluster.local/ns/default/sa/db', 'spiffe://other/ns/default/sa/web', 'web']) {
    expect(await failureOf(ask(id))).toBe('16 request authenticate failure');
  }
  node.uid = 'replaced';
  expect(await failureOf(ask('spiffe://cluster.local/ns/default/sa/web'))).toBe('16 request authenticate failure');
  client.close();
  await own[Symbol.asyncDispose]();
});

test('a new signer’s server certificate is used without a restart, and open connections stay', async () => {
  const own = await startCertificateServer();
  const token = await newToken(own, 'a', 'b');
  const before = connect(own);
  await createCertificate(before, { csr, token });
  await beginRotation(own.store, rootOptions, systemEnvironment);
  await own.authority.refresh();
  await own.certificate.renew();
  const after = connect(own);
  const chain = await createCertificate(after, { csr, token });
  expect(chain[1]).toBe(own.authority.state.bundle.pem);
  expect((await createCertificate(before, { csr, token })).length).toBe(2);
  before.close();
  after.close();
  await own[Symbol.asyncDispose]();
});

async function withClient<T>(use: (client: ReturnType<typeof connect>) => Promise<T>): Promise<T> {
  const client = connect(server);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** A client of `server` with a certificate of those names, of `issuer`'s authority. */
async function withCertificate(
  uris: readonly string[],
  use: (client: ReturnType<typeof connect>) => Promise<unknown>,
  issuer: CertificateServer = server,
  endsInSeconds = 600,
): Promise<void> {
  const now = endsInSeconds > 0 ? Date.now : () => Date.now() + endsInSeconds * 1000 - 1000;
  const lifetimeSeconds = () => Math.max(1, endsInSeconds);
  using certificate = new RenewingCertificate(
    issuer.authority,
    { uris, dnsNames: () => [], lifetimeSeconds },
    { ...systemEnvironment, now },
  );
  const { privateKey, certificateChain } = await certificate.ready();
  const client = connect(server, privateKey, certificateChain);
  try {
    await use(client);
  } finally {
    client.close();
  }
}
