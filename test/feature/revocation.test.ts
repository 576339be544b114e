// Revocation lists of an operator's own CA: real Envoys go by them, our own port does, and namespaces get them.
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRefused } from '../../certs/refusal.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { type IdentityMesh, mtlsClient, mtlsListener, startIdentityMesh } from '../support/identity-mesh.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { leastPrivilege } from '../support/kubernetes-plane.ts';
import { makeCa, pluggedFilesOf } from '../support/plugged-ca.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

const root = makeCa('root');
const signer = makeCa('signer', root);

/** A folder as `/etc/cacerts`, and how its lists are replaced at once. */
async function plug() {
  const folder = await mkdtemp(join(tmpdir(), 'cacerts-'));
  for (const [name, text] of Object.entries(pluggedFilesOf(signer, root))) await writeFile(join(folder, name), text);
  return {
    folder,
    put: async (lists: string) => {
      await writeFile(join(folder, 'new'), lists);
      await rename(join(folder, 'new'), join(folder, 'ca-crl.pem'));
    },
    take: () => rm(join(folder, 'ca-crl.pem')),
  };
}

describe('proxies without an agent', () => {
  let mesh: IdentityMesh;
  let ca: Awaited<ReturnType<typeof plug>>;
  let port = 0;

  beforeAll(async () => {
    ca = await plug();
    mesh = await startIdentityMesh('1h', ca.folder);
    const serving = await mtlsListener('spiffe://cluster.local/ns/default/sa/web');
    const sending = await mtlsClient(serving.port, 'spiffe://cluster.local/ns/default/sa/db');
    port = sending.port;
    const envoys = [
      await mesh.startEnvoy('db', { listeners: [serving.listener], clusters: [] }),
      await mesh.startEnvoy('web', sending),
    ];
    await Promise.all(envoys.map((envoy) => envoy.ready()));
    await answers('200');
  }, 60_000);
  afterAll(async () => {
    await mesh?.[Symbol.asyncDispose]();
    await rm(ca.folder, { recursive: true });
  });

  const ask = () =>
    fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) }).then(
      ({ status }) => String(status),
      () => 'none',
    );
  const answers = (wanted: string) => waitFor(`answer ${wanted}`, async () => (await ask()) === wanted);
  const held = async (serviceAccount: string) => {
    const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount };
    const lease = mesh.signing.secrets.acquire(identity, 'test');
    if (isRefused(lease)) throw new Error(lease.reason);
    return lease.ready();
  };

  test('talk on with lists that revoke none of them, refuse whom one revokes, and take it back', async () => {
    await ca.put(root.list() + signer.list());
    await waitFor('the lists', async () => (await held('web')).revocations.length === 2);
    for (let i = 0; i < 20; i++) expect(await ask()).toBe('200');
    const { serialNumber } = new X509Certificate((await held('web')).certificateChain);
    await ca.put(root.list() + signer.list({ revoked: [serialNumber] }));
    await answers('503');
    // What cannot be used changes nothing.
    await ca.put(signer.list());
    await waitFor('the finding', () => mesh.signing.authority.diagnostics().length === 1);
    expect(await ask()).toBe('503');
    await ca.take();
    await answers('200');
  });

  test('are refused by a list of the root that revokes their signer', async () => {
    await ca.put(root.list({ revoked: [signer.serial] }) + signer.list());
    await answers('503');
    await ca.take();
    await answers('200');
  });

  test('show a revoked certificate to the control plane in vain', async () => {
    const { certificateChain, privateKey, rootBundle } = await held('web');
    const credentials = grpc.credentials.createSsl(
      ...([rootBundle, privateKey, certificateChain].map((pem) => Buffer.from(pem)) as [Buffer, Buffer, Buffer]),
      { checkServerIdentity: () => undefined },
    );
    const outcome = async (): Promise<number> => {
      const connection = connect(mesh.secureAddress, credentials);
      try {
        const stream = connection.open('delta');
        const metadata = { NAMESPACE: 'default', SERVICE_ACCOUNT: 'web' };
        stream.delta({ node: { ...sidecarNode(), metadata }, typeUrl: typeUrls.cluster });
        const end = await Promise.race([stream.next(() => true).then(() => ({ code: 0 })), stream.status]);
        return end.code;
      } finally {
        connection.close();
      }
    };
    expect(await outcome()).toBe(grpc.status.OK);
    const { serialNumber } = new X509Certificate(certificateChain);
    await ca.put(root.list() + signer.list({ revoked: [serialNumber] }));
    await waitFor('it to be refused', async () => (await outcome()) === grpc.status.UNAUTHENTICATED);
    await ca.take();
    await waitFor('it to be taken again', async () => (await outcome()) === grpc.status.OK);
  });
});

describe('in a cluster', () => {
  let server: TestApiServer;
  let plane: TestDiscovery;
  let ca: Awaited<ReturnType<typeof plug>>;
  const lists = root.list() + signer.list();

  beforeAll(async () => {
    ca = await plug();
    server = await startApiServer();
    const kubeconfig = await leastPrivilege(server);
    plane = await startDiscovery({ kubeconfig, environment: { ROOT_CA_DIR: ca.folder, POD_NAME: 'istiod-1' } });
  }, 300_000);
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
    await server?.stop();
    await rm(ca.folder, { recursive: true });
  });

  const configMap = (namespace: string, name = 'istio-ca-crl') => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
  });
  const textIn = async (namespace: string, name?: string): Promise<string | undefined> => {
    const all = await server.client.list(`/api/v1/namespaces/${namespace}/configmaps`);
    const found = all.find(({ metadata }) => metadata.name === configMap(namespace, name).metadata.name);
    return Object.values((found?.['data'] ?? {}) as Readonly<Record<string, string>>)[0];
  };
  const findings = async () => {
    const page = JSON.parse(await plane.get('/debug/status')) as { readonly findings: readonly { message: string }[] };
    return page.findings.map(({ message }) => message);
  };

  const expiry = async () => /^meltemi_revocation_lists_expiry_timestamp (.*)$/m.exec(await plane.get('/metrics'))?.[1];

  test('every namespace has the lists from when there are some, by key ca-crl.pem', async () => {
    await waitFor('the roots', async () => (await textIn('default', 'istio-ca-root-cert')) !== undefined);
    expect([await textIn('default'), await expiry()]).toEqual([undefined, undefined]);
    await ca.put(lists);
    await waitFor('the lists', async () => (await textIn('default')) === lists);
    expect(Number(await expiry()) * 1000 - Date.now()).toBeGreaterThan(80_000_000);
    const { data, metadata } = await server.client.get(configMap('default'));
    expect([data, metadata['labels']]).toEqual([{ 'ca-crl.pem': lists }, { 'istio.io/config': 'true' }]);
    await server.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'new' } });
    await waitFor('those of a new one', async () => (await textIn('new')) === lists);
    expect(await textIn('kube-system')).toBeUndefined();
    await server.client.merge(configMap('default'), { data: { 'ca-crl.pem': 'other' } });
    await waitFor('them to come back', async () => (await textIn('default')) === lists);
  });

  test('what cannot be used is found and changes nothing; without a file they are emptied', async () => {
    await ca.put('x');
    await waitFor('the finding', async () => (await findings()).some((text) => text.includes('ca-crl.pem cannot be')));
    expect(await textIn('default')).toBe(lists);
    const next = root.list() + signer.list({ revoked: ['05'] });
    await ca.put(next);
    await waitFor('the next ones', async () => (await textIn('new')) === next);
    await waitFor('no finding', async () => (await findings()).length === 0);
    await ca.take();
    await waitFor('none', async () => (await textIn('default')) === '' && (await textIn('new')) === '');
    expect(await expiry()).toBeUndefined();
    expect(plane.child.output()).not.toMatch(/forbidden/i);
  });
});
