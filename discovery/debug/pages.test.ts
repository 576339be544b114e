// The debug pages over HTTP and xDS, against a publisher without sockets.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { afterEach, describe, expect, test } from 'vitest';
import { SecretsConfigDumpSchema } from '../../protos/gen/envoy/admin/v3/config_dump_pb.js';
import { ClustersConfigDumpSchema } from '../../protos/gen/envoy/admin/v3/config_dump_shared_pb.js';
import { ClusterSchema } from '../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { SecretSchema } from '../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DiscoveryResponseSchema } from '../../protos/gen/envoy/service/discovery/v3/discovery_pb.js';
import { ClientConfigSchema } from '../../protos/gen/envoy/service/status/v3/csds_pb.js';
import { sidecarNode, sotwRequest } from '../../test/support/xds/client.ts';
import { type Loopback, type LoopbackStream, loopback } from '../../test/support/xds/loopback.ts';
import type { Caller } from '../xds/caller.ts';
import { bytesOf } from '../xds/response.ts';
import type { Transport } from '../xds/transport.ts';
import { typeUrls } from '../xds-types.ts';
import { createDebug, type Debug, type DebugOptions } from './pages.ts';

const { cluster, listener, secret } = typeUrls;
const as = (namespace: string, serviceAccount = 'default'): Caller => ({
  kind: 'identified',
  identities: [{ trustDomain: 'cluster.local', namespace, serviceAccount }],
});
const local = { kind: 'local' } as const;

describe('debug pages', () => {
  const meshes: Loopback[] = [];
  afterEach(() => {
    for (const mesh of meshes.splice(0)) mesh.publisher.stop();
  });

  async function start(options: Partial<DebugOptions> = {}): Promise<{ mesh: Loopback; debug: Debug }> {
    const debug: Debug = createDebug({
      publisher: () => mesh.publisher,
      systemNamespaces: ['istio-system'],
      controlPlane: () => '{"Component":"istiod","ID":"me"}',
      ...options,
    });
    const mesh = loopback({ answerDebug: (...asked) => debug.answer(...asked) });
    meshes.push(mesh);
    const body = Buffer.from(toBinary(ClusterSchema, create(ClusterSchema, { name: 'a' }))).toString('latin1');
    await mesh.set({ cluster: { a: body } });
    return { mesh, debug };
  }

  async function connectApp(mesh: Loopback): Promise<LoopbackStream> {
    const app = mesh.open('delta', as('default'));
    await app.delta({ node: sidecarNode(), typeUrl: cluster });
    return app;
  }

  test('syncz tells sent, accepted and rejected apart', async () => {
    const { mesh, debug } = await start();
    const app = await connectApp(mesh);
    await app.delta({ typeUrl: listener });
    const [clusters, listeners] = app.take();
    await app.delta({ typeUrl: cluster, responseNonce: clusters?.nonce ?? '' });
    const errorDetail = { code: 13, message: 'bad listener' };
    await app.delta({ typeUrl: listener, responseNonce: listeners?.nonce ?? '', errorDetail });
    const page = await debug.page('syncz', {}, local);
    expect(page).toMatchObject({
      json: [
        {
          cluster_id: 'Kubernetes',
          proxy: 'app.default',
          proxy_type: 'sidecar',
          cluster_sent: clusters?.nonce,
          cluster_acked: clusters?.nonce,
          listener_acked: '',
          resources: { [cluster]: { state: 'SYNCED' }, [listener]: { state: 'ERROR', lastError: 'bad listener' } },
        },
      ],
    });
  });

  test('adsz, connections and cachez show who is connected and what is held', async () => {
    const { mesh, debug } = await start();
    await connectApp(mesh);
    expect(await debug.page('adsz', {}, local)).toMatchObject({
      json: { totalClients: 1, clients: [{ connectionId: 'app.default-1', watches: { [cluster]: ['*'] } }] },
    });
    expect(await debug.page('connections', {}, local)).toMatchObject({ json: { totalClients: 1 } });
    expect(await debug.page('cachez', {}, local)).toMatchObject({
      json: { resources: 1, cells: mesh.publisher.graph.size, views: [{ type: 'cluster', streams: 1, resources: 1 }] },
    });
    expect(await debug.page('nonsense', {}, local)).toBeUndefined();
    expect(await debug.page('list', {}, local)).toMatchObject({ json: expect.arrayContaining(['/debug/syncz']) });
  });

  test('config_dump finds a proxy by a part of its name', async () => {
    const { mesh, debug } = await start();
    await connectApp(mesh);
    const page = await debug.page('config_dump', { proxyID: 'app.default' }, local);
    const text = JSON.stringify(page);
    expect(text).toContain('envoy.admin.v3.ClustersConfigDump');
    expect(text).toContain('"name":"a"');
    expect(await debug.page('config_dump', {}, local)).toMatchObject({ status: 400 });
    expect(await debug.page('config_dump', { proxyID: 'nobody' }, local)).toMatchObject({ status: 404 });
  });

  test('private keys never leave in a dump', async () => {
    const { mesh } = await start({ requireIdentity: false });
    const key = 'PRIVATE KEY BYTES';
    const message = create(SecretSchema, {
      name: 'kubernetes://tls',
      type: {
        case: 'tlsCertificate',
        value: { privateKey: { specifier: { case: 'inlineString', value: key } } },
      },
    });
    await mesh.set({
      secret: { 'kubernetes://tls': Buffer.from(toBinary(SecretSchema, message)).toString('latin1') },
    });
    const app = mesh.open('delta', as('default'));
    await app.delta({ node: sidecarNode(), typeUrl: secret, resourceNamesSubscribe: ['kubernetes://tls'] });
    expect(app.take()[0]?.resources.get('kubernetes://tls')).toContain(key);
    const anys = await askOver(mesh, as('istio-system'), 'istio.io/debug/config_dump', ['app.default']);
    const dump = anys.find(({ typeUrl }) => typeUrl.endsWith('SecretsConfigDump'));
    const secrets = fromBinary(SecretsConfigDumpSchema, dump?.value ?? new Uint8Array());
    expect(secrets.dynamicActiveSecrets.map(({ name }) => name)).toEqual(['kubernetes://tls']);
    expect(Buffer.from(dump?.value ?? []).toString('latin1')).not.toContain(key);
  });

  test('over xDS: syncz, config_dump, pages by name; each by identity', async () => {
    const { mesh } = await start();
    await connectApp(mesh);
    const system = as('istio-system');
    const [status] = await askOver(mesh, system, 'istio.io/debug/syncz', []);
    const config = fromBinary(ClientConfigSchema, status?.value ?? new Uint8Array());
    expect(config).toMatchObject({ node: { id: 'app.default' }, genericXdsConfigs: [{ typeUrl: cluster }] });
    const dump = await askOver(mesh, system, 'istio.io/debug/config_dump', ['app.default']);
    expect(dump.map(({ typeUrl }) => typeUrl.split('.').pop())).toEqual([
      'BootstrapConfigDump',
      'ClustersConfigDump',
      'ListenersConfigDump',
      'ScopedRoutesConfigDump',
      'RoutesConfigDump',
      'SecretsConfigDump',
      'EcdsConfigDump',
    ]);
    const clusters = fromBinary(ClustersConfigDumpSchema, dump[1]?.value ?? new Uint8Array());
    expect(clusters.dynamicActiveClusters).toHaveLength(1);
    expect(await askOver(mesh, system, 'istio.io/debug/config_dump', ['nobody'])).toEqual([]);
    const [page] = await askOver(mesh, system, 'istio.io/debug', ['edsz?proxyID=nobody']);
    expect(page?.typeUrl).toBe('istio.io/debug');
    expect(Buffer.from(page?.value ?? []).toString()).toContain('Proxy not connected to this Pilot instance');
    expect(await askOver(mesh, as('default'), 'istio.io/debug/syncz', [], 'default')).toHaveLength(1);
    expect(await askOver(mesh, as('other'), 'istio.io/debug/syncz', [], 'other')).toHaveLength(0);
    expect(await refusalOver(mesh, as('other'), 'istio.io/debug', ['adsz'], 'other')).toBe('PERMISSION_DENIED');
    expect(await refusalOver(mesh, { kind: 'anonymous' }, 'istio.io/debug/syncz', [])).toBe('UNAUTHENTICATED');
    expect(await refusalOver(mesh, system, 'istio.io/debug', [])).toBe('INVALID_ARGUMENT');
  });

  test('a debug client is no proxy of the mesh', async () => {
    const { mesh, debug } = await start();
    await askOver(mesh, as('istio-system'), 'istio.io/debug/syncz', []);
    expect(await debug.page('syncz', {}, local)).toEqual({ json: [] });
  });

  async function askOver(
    mesh: Loopback,
    caller: Caller,
    typeUrl: string,
    resourceNames: readonly string[],
    namespace = 'istio-system',
  ): Promise<readonly { readonly typeUrl: string; readonly value: Uint8Array }[]> {
    const sent: Buffer[] = [];
    const send: Transport['send'] = (message, done) => {
      sent.push(bytesOf(message));
      done();
    };
    const stream = mesh.publisher.open('sotw', { peer: 'istioctl', send, end: () => {} }, caller);
    await stream.receive(
      sotwRequest({ node: sidecarNode('x', namespace), typeUrl, resourceNames: [...resourceNames] }),
    );
    expect(sent).toHaveLength(1);
    const response = fromBinary(DiscoveryResponseSchema, sent[0] ?? new Uint8Array());
    if (typeUrl.endsWith('syncz')) expect(response.controlPlane?.identifier).toContain('"ID":"me"');
    return response.resources.map((any) => create(AnySchema, any));
  }

  async function refusalOver(
    mesh: Loopback,
    caller: Caller,
    typeUrl: string,
    resourceNames: readonly string[],
    namespace = 'istio-system',
  ): Promise<string | undefined> {
    const client = mesh.open('sotw', caller);
    await client.sotw({ node: sidecarNode('x', namespace), typeUrl, resourceNames: [...resourceNames] });
    return client.ended?.status;
  }
});
