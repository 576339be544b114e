// @grpc/grpc-js-xds as a proxyless client: finds routes and endpoints over xDS (state of the world) and calls a server.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { waitFor } from '../support/wait.ts';

const path = '/meltemi.test.Echo/Say';
const identity = (bytes: Buffer): Buffer => bytes;
const host = 'echo.shop.svc.cluster.local';

const echoService: ServiceDefinition = {
  Say: {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

interface Backend {
  readonly name: string;
  readonly address: string;
  readonly server: Server;
}

let folder: string;
let discovery: TestDiscovery;
let client: Client;
const backends: Backend[] = [];

/** A gRPC server at an address of its own that answers with its name; all on one port, as pods are. */
async function startBackend(name: string, address: string, wanted: number): Promise<number> {
  const server = new Server();
  server.addService(echoService, {
    Say: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) =>
      done(null, Buffer.from(`${name} heard ${call.request.toString()}`)),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${address}:${wanted}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  backends.push({ name, address, server });
  return port;
}

/** A Service and its endpoints. */
function serviceObjects(name: string, port: number, addresses: readonly string[]): readonly object[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'shop' },
      spec: { selector: { app: name }, ports: [{ name: 'grpc', port: 7070, targetPort: port }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'grpc', port }],
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    },
  ];
}

const destination = (host: string): object => ({ route: [{ destination: { host, port: { number: 7070 } } }] });

/** The folder's only file; `http` are routes before the one to the service itself. */
function manifests(port: number, addresses: readonly string[], http: readonly object[]): string {
  const virtualService = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'echo', namespace: 'shop' },
    spec: { hosts: ['echo'], http: [...http, destination('echo')] },
  };
  const services = [...serviceObjects('echo', port, addresses), ...serviceObjects('canary', port, ['127.0.0.3'])];
  return [...services, virtualService].map((object) => stringify(object)).join('---\n');
}

interface Answer {
  readonly code: number;
  readonly text: string;
}

function say(text: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const options = { deadline: Date.now() + 10_000 };
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, identity, identity, Buffer.from(text), metadata, options, (error, value) =>
      resolve(error === null ? { code: 0, text: String(value) } : { code: error.code, text: error.details }),
    );
  });
}

let port: number;
const publish = (addresses: readonly string[], http: readonly object[] = []): Promise<void> =>
  writeFile(join(folder, 'config/echo.yaml'), manifests(port, addresses, http));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grpc-xds-'));
  await mkdir(join(folder, 'config'));
  port = await startBackend('one', '127.0.0.2', 0);
  await startBackend('two', '127.0.0.3', port);
  await publish(['127.0.0.2']);
  discovery = await startDiscovery({
    configFolder: join(folder, 'config'),
    flags: ['--stateDir', join(folder, 'state')],
  });
  process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = JSON.stringify({
    xds_servers: [
      {
        server_uri: `127.0.0.1:${discovery.ports.grpc}`,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    node: {
      id: 'sidecar~127.0.0.1~caller.shop~shop.svc.cluster.local',
      locality: { region: 'r', zone: 'z' },
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'shop', INSTANCE_IPS: '127.0.0.1' },
    },
  });
  // It reads the variable when it is loaded.
  const { register } = await import('@grpc/grpc-js-xds');
  register();
  client = new Client(`xds:///${host}:7070`, credentials.createInsecure());
}, 60_000);

afterAll(async () => {
  client?.close();
  for (const { server } of backends) server.forceShutdown();
  await discovery?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('a call reaches the endpoint of the service', async () => {
  expect(await say('hello')).toEqual({ code: 0, text: 'one heard hello' });
});

test('when the endpoints change, calls move', async () => {
  await publish(['127.0.0.3']);
  await waitFor('calls to move', async () => (await say('again')).text === 'two heard again');
  await publish(['127.0.0.2', '127.0.0.3']);
  const heard = new Set<string>();
  const both = async () => {
    heard.add((await say('x')).text);
    return heard.size === 2;
  };
  await waitFor('both endpoints to be called', both);
  expect([...heard].sort()).toEqual(['one heard x', 'two heard x']);
});

test('a route of the VirtualService by a header is followed', async () => {
  await publish(['127.0.0.2'], [{ match: [{ headers: { canary: { exact: 'yes' } } }], ...destination('canary') }]);
  // Twice in a row: both answer in turn without it.
  const canary = async () => (await say('x', { canary: 'yes' })).text === 'two heard x';
  await waitFor('the route', async () => (await canary()) && (await canary()));
  expect(await say('x')).toEqual({ code: 0, text: 'one heard x' });
});

test('the server sees the client as a gRPC one that acknowledged what it got', async () => {
  const acknowledged = async () => {
    const [found] = JSON.parse(await discovery.get('/debug/syncz')) as readonly Readonly<Record<string, string>>[];
    expect(found?.['proxy']).toBe('caller.shop');
    for (const type of ['cluster', 'endpoint', 'listener', 'route']) {
      expect(found?.[`${type}_sent`]).toMatch(/./);
      expect(found?.[`${type}_acked`]).toBe(found?.[`${type}_sent`]);
    }
    return true;
  };
  await waitFor('everything to be acknowledged', acknowledged);
});
