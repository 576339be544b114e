// Mutual TLS between real, agentless Envoys with our certificates: names, renewal under load, rotation of the root under load.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemEnvironment } from '../../certs/environment.ts';
import { beginRotation } from '../../certs/rotation-driver.ts';
import { rootOptions } from '../support/certificate-server.ts';
import type { TestEnvoy } from '../support/envoy.ts';
import { type IdentityMesh, mtlsClient, mtlsListener, startIdentityMesh } from '../support/identity-mesh.ts';
import { sleep, waitFor } from '../support/wait.ts';

const webId = 'spiffe://cluster.local/ns/default/sa/web';
const dbId = 'spiffe://cluster.local/ns/default/sa/db';
let mesh: IdentityMesh;
let server: TestEnvoy;
let serverPort = 0;
let client: TestEnvoy;
let clientPort = 0;

beforeAll(async () => {
  mesh = await startIdentityMesh('6s');
  const { port, listener } = await mtlsListener(webId);
  serverPort = port;
  server = await mesh.startEnvoy('db', { listeners: [listener], clusters: [] });
  const sending = await mtlsClient(port, dbId);
  clientPort = sending.port;
  client = await mesh.startEnvoy('web', sending);
  await Promise.all([server.ready(), client.ready()]);
  await waitFor('the first answer', async () => (await ask(clientPort)) === '200');
}, 60_000);
afterAll(() => mesh[Symbol.asyncDispose]());

test('the server sees the client’s SPIFFE id', async () => {
  const answer = await fetch(`http://127.0.0.1:${clientPort}/`);
  expect(answer.headers.get('x-seen')).toContain(`URI=${webId}`);
});

test('plaintext to the server is refused', async () => {
  expect(await ask(serverPort)).toBe('no answer');
});

test('a peer of another service account is refused by both sides’ name checks', async () => {
  const intruding = await mtlsClient(serverPort, dbId);
  const intruder = await mesh.startEnvoy('intruder', intruding);
  const misled = await mtlsClient(serverPort, 'spiffe://cluster.local/ns/default/sa/other');
  const other = await mesh.startEnvoy('web', misled);
  await Promise.all([intruder.ready(), other.ready()]);
  expect([await ask(intruding.port), await ask(misled.port)]).toEqual(['503', '503']);
  expect((await other.stats('ssl.fail_verify_san')).get('cluster.server.ssl.fail_verify_san')).toBeGreaterThan(0);
  expect(
    (await server.stats('ssl.fail_verify_san')).get(`listener.127.0.0.1_${serverPort}.ssl.fail_verify_san`),
  ).toBeGreaterThan(0);
  await Promise.all([intruder.stop(), other.stop()]);
});

test('on the plaintext port an Envoy gets no certificate', async () => {
  const { port, listener } = await mtlsListener(webId);
  const outsider = await mesh.startEnvoy('db', { listeners: [listener], clusters: [] }, { plaintext: true });
  await sleep(1500);
  expect(JSON.parse(await outsider.admin('/certs'))).toEqual({ certificates: [] });
  expect(await ask(port)).toBe('no answer');
  await outsider.stop();
});

test('certificates of six seconds are renewed under load without a failed request', async () => {
  const updates = async () => (await server.stats('sds.default.update_success')).get('sds.default.update_success') ?? 0;
  const before = await updates();
  const load = startLoad(clientPort);
  await sleep(11_000);
  expect(await load.stop()).toEqual(['200']);
  expect((await updates()) - before).toBeGreaterThanOrEqual(3);
  expect(load.sent()).toBeGreaterThan(100);
}, 30_000);

test('the root is rotated under load, not before the last proxy is ready, without a failed request', async () => {
  const lagging = await mesh.startEnvoy('lagging', { listeners: [(await mtlsListener(webId)).listener], clusters: [] });
  await lagging.ready();
  const { authority } = mesh.signing;
  const old = authority.state.signer.id;
  const load = startLoad(clientPort);
  await sleep(300);
  lagging.child.signal('SIGSTOP');
  await beginRotation(mesh.store, rootOptions, systemEnvironment);
  await sleep(3_000);
  expect(authority.state.rotation.step).toBe('trust-both');
  lagging.child.signal('SIGCONT');
  await waitFor(
    'the rotation to end',
    () => authority.state.rotation.step === 'steady' && authority.state.signer.id !== old,
    {
      timeoutMs: 30_000,
      detail: () => mesh.log.slice(-10).join('\n'),
    },
  );
  await sleep(1_000);
  expect(await load.stop()).toEqual(['200']);
  expect(authority.state.bundle.roots.length).toBe(1);
  const [root] = authority.state.bundle.roots;
  expect(await server.admin('/certs')).toContain(`"serial_number": "${root?.x509.serialNumber.toLowerCase()}"`);
  expect(mesh.log.join('\n')).not.toContain('PRIVATE KEY');
  await lagging.stop();
}, 60_000);

async function ask(port: number): Promise<string> {
  return fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5_000) }).then(
    (answer) => String(answer.status),
    () => 'no answer',
  );
}

/** Four callers that ask without a pause; `stop` tells the distinct answers. */
function startLoad(port: number): { readonly sent: () => number; readonly stop: () => Promise<readonly string[]> } {
  const answers = new Map<string, number>();
  let asking = true;
  const callers = [1, 2, 3, 4].map(async () => {
    while (asking) {
      const answer = await ask(port);
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      await sleep(5);
    }
  });
  return {
    sent: () => [...answers.values()].reduce((a, b) => a + b, 0),
    stop: async () => {
      asking = false;
      await Promise.all(callers);
      return [...answers.keys()].sort();
    },
  };
}
