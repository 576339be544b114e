// A stock proxyless gRPC client (grpc-js-xds, state of the world): it finds a service, its routes and its endpoints.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { waitFor } from '../support/wait.ts';

const same = (bytes: Buffer): Buffer => bytes;
const say = {
  path: '/test.Echo/Say',
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** Answers every call with its own name. */
async function startEcho(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  server.addService({ Say: say } as ServiceDefinition, {
    Say: ((_call, callback) => callback(null, Buffer.from(name))) satisfies handleUnaryCall<Buffer, Buffer>,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { server, port };
}

const yaml = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind, metadata: { name, namespace: 'default' }, spec });

const host = 'echo.example.com';

let folder: string;
let discovery: TestDiscovery;
let client: Client;
const servers: Server[] = [];

async function writeRoutes(subset: string): Promise<void> {
  const to = (name: string) => [{ destination: { host, subset: name } }];
  const http = [{ match: [{ headers: { canary: { exact: 'yes' } } }], route: to('v2') }, { route: to(subset) }];
  await writeFile(join(folder, 'routes.yaml'), yaml('VirtualService', 'echo', { hosts: [host], http }));
}

function call(headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + 10_000 };
    client.makeUnaryRequest(say.path, same, same, Buffer.from('hi'), metadata, options, (error, answer) =>
      error === null ? resolve(String(answer)) : reject(error),
    );
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grpc-interop-'));
  const endpoints = [];
  for (const version of ['v1', 'v2']) {
    const { server, port } = await startEcho(version);
    servers.push(server);
    endpoints.push({ address: '127.0.0.1', ports: { grpc: port }, labels: { version } });
  }
  const ports = [{ number: 7070, name: 'grpc', protocol: 'GRPC' }];
  const entry = { hosts: [host], location: 'MESH_INTERNAL', resolution: 'STATIC', ports, endpoints };
  const subsets = ['v1', 'v2'].map((name) => ({ name, labels: { version: name } }));
  await writeFile(join(folder, 'entry.yaml'), yaml('ServiceEntry', 'echo', entry));
  await writeFile(join(folder, 'rule.yaml'), yaml('DestinationRule', 'echo', { host, subsets }));
  await writeRoutes('v1');
  discovery = await startDiscovery({ configFolder: folder });
  // The client library reads its bootstrap from the environment when it is first used.
  process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = JSON.stringify({
    xds_servers: [
      {
        server_uri: `127.0.0.1:${discovery.ports.grpc}`,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    certificate_providers: {},
    node: {
      id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local',
      locality: {},
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default', CLUSTER_ID: 'Kubernetes' },
    },
  });
  const { register } = await import('@grpc/grpc-js-xds');
  register();
  client = new Client(`xds:///${host}:7070`, credentials.createInsecure());
});

afterAll(async () => {
  client?.close();
  for (const server of servers) server.forceShutdown();
  await discovery?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('calls go where the VirtualService sends them, by header and by default', async () => {
  expect(await call()).toBe('v1');
  expect(await call({ canary: 'yes' })).toBe('v2');
});

test('an edited file moves the calls of an open channel', async () => {
  await writeRoutes('v2');
  await waitFor('calls to reach v2', async () => (await call()) === 'v2', { timeoutMs: 10_000, intervalMs: 50 });
});
