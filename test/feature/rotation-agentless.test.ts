// A plain Envoy through a rotation of the root: it comes back to a control plane whose certificate only the new root has signed.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { rootsSecret } from '../../config/bootstrap-discovery.ts';
import { runOrThrow } from '../support/child.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startEnvoy, type TestEnvoy } from '../support/envoy.ts';
import { MountedFolder } from '../support/mounted-folder.ts';
import { waitFor } from '../support/wait.ts';

const main = join(import.meta.dirname, '../../cmd/main.ts');
let folder: string;
let discovery: TestDiscovery;
let envoy: TestEnvoy;
let roots: MountedFolder;
let token: MountedFolder;

const inState = (name: string): string => join(folder, 'state', name);
const meltemi = (...args: readonly string[]): Promise<string> =>
  runOrThrow(process.execPath, [main, ...args, '--ca-dir', inState('ca')]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotation-'));
  await mkdir(join(folder, 'config'));
  await publish('first');
  discovery = await start();
  roots = new MountedFolder(join(folder, 'istio'));
  token = new MountedFolder(join(folder, 'tokens'));
  await mountRoots();
  await mountToken('web');
  const bootstrap = buildBootstrap({
    nodeType: 'sidecar',
    address: '127.0.0.1',
    podName: 'web-0',
    namespace: 'default',
    serviceAccount: 'web',
    labels: {},
    discovery: {
      address: `127.0.0.1:${discovery.ports.secureGrpc}`,
      tls: {
        caFile: join(roots.path, 'root-cert.pem'),
        tokenFile: join(token.path, 'istio-token'),
        serverName: 'istiod.istio-system.svc',
      },
    },
    admin: { address: '127.0.0.1', port: 15_000 },
  });
  envoy = await startEnvoy({ bootstrap, logLevel: 'info' });
  await envoy.ready();
});
afterAll(async () => {
  await envoy?.stop();
  await discovery?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function start(ports?: TestDiscovery['ports']): Promise<TestDiscovery> {
  // Long enough to hold the rotation in each step, once it was seen there.
  const environment = { ROOT_ROTATION_STEP: '8s' };
  const flags = ['--stateDir', join(folder, 'state')];
  return startDiscovery({ configFolder: join(folder, 'config'), environment, flags, ...(ports && { ports }) });
}

/** Puts a service of this name into the mesh; Envoy gets a cluster of it. */
async function publish(name: string): Promise<void> {
  const spec = {
    hosts: [`${name}.test`],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
  };
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: 'default' },
    spec,
  };
  await writeFile(join(folder, 'config', `${name}.yaml`), JSON.stringify(object));
}

/** What injection mounts: the roots, and how Envoy is to follow them. Gives how many roots there are. */
async function mountRoots(): Promise<number> {
  const secret = JSON.stringify(rootsSecret(join(roots.path, 'root-cert.pem')));
  const text = await readFile(inState('root-cert.pem'), 'utf8');
  await roots.write({ 'root-cert.pem': text, 'root-cert.pem.json': secret });
  return text.split('BEGIN CERTIFICATE').length - 1;
}

async function mountToken(serviceAccount: string): Promise<void> {
  await token.write({ 'istio-token': (await meltemi('token', '-s', serviceAccount)).trim() });
}

const step = async (): Promise<string> => JSON.parse(await meltemi('root', 'show', '-o', 'json')).rotation.step;

const has = async (name: string): Promise<boolean> =>
  (await envoy.clusters()).some((cluster) => cluster['name'] === `outbound|80||${name}.test`);

/** The control plane is killed and comes back, with another service; resolves when Envoy knows of that. */
async function restart(name: string): Promise<void> {
  await discovery.child.kill();
  await publish(name);
  discovery = await start(discovery.ports);
  await waitFor(`the cluster of ${name}`, () => has(name), { timeoutMs: 30_000, detail: () => logs() });
}

const logs = (): string => [discovery.child, envoy.child].map((child) => child.output().slice(-2000)).join('\n');

test('it comes back in each step of a rotation, and when the root that it began with is gone', async () => {
  await waitFor('the first cluster', () => has('first'), { detail: logs });
  const old = await readFile(inState('root-cert.pem'), 'utf8');
  await meltemi('root', 'rotate');
  for (const [current, roots] of [
    ['trust-both', 2],
    ['sign-new', 2],
    ['steady', 1],
  ] as const) {
    await waitFor(current, async () => (await step()) === current, { timeoutMs: 30_000, detail: logs });
    if (current !== 'steady') await meltemi('root', 'hold');
    await waitFor('its roots', async () => (await mountRoots()) === roots);
    await restart(current);
    if (current !== 'steady') await meltemi('root', 'resume');
  }
  expect(await readFile(inState('root-cert.pem'), 'utf8')).not.toContain(old);
}, 120_000);

test('a token that was replaced is used for the next stream', async () => {
  const connected = async () =>
    (await envoy.stats('control_plane.connected_state')).get('control_plane.connected_state');
  await token.write({ 'istio-token': 'expired' });
  await discovery.child.kill();
  discovery = await start(discovery.ports);
  // 16 is gRPC's UNAUTHENTICATED.
  await waitFor('a refusal', () => envoy.child.output().includes('closed: 16'), { timeoutMs: 30_000, detail: logs });
  // It counts as connected from each try until the answer.
  await waitFor('no stream', async () => (await connected()) === 0, { detail: logs });
  await mountToken('web');
  await waitFor('another stream', async () => (await connected()) === 1, { timeoutMs: 30_000, detail: logs });
}, 60_000);
