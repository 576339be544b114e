// Webhooks and gRPC on the plain HTTP port, where they have no address of their own; and what is left without a CA.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ControlPlane, compose } from '../../cmd/compose.ts';
import { createLogger } from '../../cmd/log.ts';
import { openPages } from '../../cmd/pages.ts';
import { planeWebhooks } from '../../cmd/plane-webhooks.ts';
import { readSettings } from '../../cmd/settings.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { freePort } from '../support/ports.ts';
import { selfSigned, testPod } from '../support/webhook.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

let folder: string;
let opened: AsyncDisposableStack;
let http: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shared-port-'));
  opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  http = await freePort();
});
afterEach(() => opened.disposeAsync());

/** A control plane with its pages, and its webhooks opened. It has read nothing yet. */
async function start(
  flags: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<{
  readonly plane: ControlPlane;
  readonly ports: Awaited<ReturnType<ControlPlane['listen']>> & { https?: number };
}> {
  const own = { configDir: folder, stateDir: join(folder, 'state'), httpAddr: `127.0.0.1:${http}`, monitoringAddr: '' };
  const { settings } = readSettings({ shutdownDuration: '500ms', ...own, ...flags }, [], env);
  const log = createLogger('silent');
  const plane = opened.use(await compose({ settings, log, version: 'test' }));
  const webhooks = opened.use(planeWebhooks(plane, log));
  opened.use(await openPages(plane, webhooks));
  const https = await webhooks.open();
  return { plane, ports: { ...(await plane.listen()), ...(https === undefined ? {} : { https }) } };
}

const sync = (plane: ControlPlane) =>
  plane.store.sinkOf('test').status({ synced: true, connected: true, since: Date.now() });

const review = (object: object) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'u',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    namespace: 'shop',
    operation: 'CREATE',
    object,
  },
});

async function post(path: string, body: string, type = 'application/json') {
  const answer = await fetch(`http://127.0.0.1:${http}${path}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
  return { status: answer.status, text: await answer.text() };
}

test('webhooks without an address answer there, bounded as on their own port, once everything was read', async () => {
  const { plane, ports } = await start({ httpsAddr: '', grpcAddr: '127.0.0.1:0', secureGRPCAddr: '' });
  expect(ports.https).toBeUndefined();
  const pod = JSON.stringify(review(testPod()));
  expect(await post('/inject', pod)).toMatchObject({ status: 503 });
  sync(plane);
  for (const path of ['/inject', '/inject/cluster/a/net/b', `/inject/k/${'v'.repeat(1000)}`]) {
    const { status, text } = await post(path, pod);
    expect([path, status]).toEqual([path, 200]);
    expect(JSON.parse(text).response).toMatchObject({ uid: 'u', allowed: true, patchType: 'JSONPatch' });
  }
  expect(JSON.parse((await post('/validate', pod)).text).response).toMatchObject({ allowed: true });
  expect(await post('/inject', JSON.stringify(review({ filler: 'x'.repeat(5_000_000) })))).toMatchObject({
    status: 200,
  });
  expect(await post('/inject', 'x'.repeat(7_000_000))).toEqual({ status: 413, text: 'the body is too large' });
  expect(await post('/inject', pod, 'text/plain')).toEqual({ status: 415, text: 'the body must be application/json' });
  expect(await (await fetch(`http://127.0.0.1:${http}/ready`)).text()).toBe('ready\n');
  expect((await fetch(`http://127.0.0.1:${http}/debug/list`)).status).toBe(200);
});

test('webhooks with an address are not there', async () => {
  const { plane, ports } = await start({ httpsAddr: '127.0.0.1:0', grpcAddr: '127.0.0.1:0', secureGRPCAddr: '' });
  sync(plane);
  expect(ports.https).toBeGreaterThan(0);
  expect(await post('/inject', '{}')).toMatchObject({ status: 404 });
});

test('gRPC without an address is there, beside the pages, and ends with the port', async () => {
  const { plane, ports } = await start({ httpsAddr: '', grpcAddr: '', secureGRPCAddr: '' });
  expect(ports).toEqual({});
  const early = connect(`127.0.0.1:${http}`);
  const refused = early.open('delta');
  refused.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
  expect(await refused.status).toMatchObject({ code: 14 });
  early.close();
  sync(plane);
  const connections = [connect(`127.0.0.1:${http}`), connect(`127.0.0.1:${http}`)];
  for (const connection of connections) {
    const stream = connection.open('delta');
    stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
    const { versions } = await stream.next(({ typeUrl }) => typeUrl === typeUrls.cluster);
    expect([...versions.keys()]).toContain('PassthroughCluster');
    expect(await (await fetch(`http://127.0.0.1:${http}/ready`)).text()).toBe('ready\n');
  }
  const before = performance.now();
  await opened.disposeAsync();
  expect(performance.now() - before).toBeLessThan(3_000);
  for (const connection of connections) connection.close();
});

test('Knative’s first stream is refused, the next one served', async () => {
  const { plane, ports } = await start({ httpsAddr: '', grpcAddr: '127.0.0.1:0' }, { K_REVISION: 'a-1' });
  sync(plane);
  await plane.xds.publisher.idle();
  const connection = connect(`127.0.0.1:${ports.plain?.port}`);
  const first = connection.open('delta');
  first.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster });
  expect(await first.status).toMatchObject({ code: 14 });
  const second = connection.open('delta');
  second.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster });
  await second.next(({ typeUrl }) => typeUrl === typeUrls.cluster);
  connection.close();
});

/** The first name of the certificate at a port. */
function nameAt(port: number | undefined, ca: string, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port: port ?? 0, ca, servername }, () => {
      resolve(`${socket.getPeerCertificate().subject.CN} ${socket.authorized}`);
      socket.end();
    });
    socket.on('error', reject);
  });
}

test('a certificate from files is what both TLS ports show, also a renewed one, and its roots are handed out', async () => {
  const [one, two] = [selfSigned('one.test'), selfSigned('two.test')];
  const files = {
    tlsCertFile: join(folder, 'c.pem'),
    tlsKeyFile: join(folder, 'k.pem'),
    caCertFile: join(folder, 'r.pem'),
  };
  const write = async (pair: typeof one) => {
    await writeFile(files.tlsCertFile, pair.cert);
    await writeFile(files.tlsKeyFile, pair.key);
    await writeFile(files.caCertFile, pair.cert);
  };
  await write(one);
  const addresses = { httpsAddr: '127.0.0.1:0', secureGRPCAddr: '127.0.0.1:0', grpcAddr: '127.0.0.1:0' };
  const { plane, ports } = await start({ ...files, ...addresses });
  for (const port of [ports.https, ports.secure?.port])
    expect(await nameAt(port, one.cert, 'one.test')).toBe('one.test true');
  expect(plane.identity.roots.current().trim()).toBe(one.cert.trim());
  await write(two);
  await expect.poll(() => plane.identity.roots.current().trim()).toBe(two.cert.trim());
  for (const port of [ports.https, ports.secure?.port])
    expect(await nameAt(port, two.cert, 'two.test')).toBe('two.test true');
});

test('without a CA server nothing is made, nobody signs, and TLS needs files', async () => {
  const addresses = { httpsAddr: '127.0.0.1:0', secureGRPCAddr: '127.0.0.1:0', grpcAddr: '127.0.0.1:0' };
  const { plane, ports } = await start(addresses, { ENABLE_CA_SERVER: 'false' });
  expect(plane.identity.signing).toBeUndefined();
  expect(plane.identity.roots.current()).toBe('');
  expect(Object.keys(ports)).toEqual(['plain']);
});

test('the certificate takes the name of the mesh’s discovery address', async () => {
  const { plane, ports } = await start({ httpsAddr: '127.0.0.1:0', grpcAddr: '127.0.0.1:0', secureGRPCAddr: '' });
  sync(plane);
  const data = { mesh: 'defaultConfig: { discoveryAddress: "mesh.example.com:15012" }' };
  const metadata = { namespace: 'istio-system', name: 'istio' };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data } as const;
  plane.store.sinkOf('test').apply([{ kind: 'ConfigMap', key: 'istio-system/istio', object }]);
  const ca = plane.identity.roots.current();
  const trusted = () => nameAt(ports.https, ca, 'mesh.example.com').catch(() => 'not trusted');
  await expect.poll(trusted).toMatch(/ true$/);
  expect(await readdir(join(folder, 'state'))).toContain('ca');
});
