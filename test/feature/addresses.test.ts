// Where the control plane listens: all addresses of both families, or the one that is named.
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyHost } from '../../cmd/any-host.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { type DiscoveryPorts, freePorts, startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

/** Without IPv6 on this machine, `::1` is unreachable for everybody. */
const hasV6 = (await anyHost()) === '[::]';
const reachable = (yes: boolean, host: string): boolean => yes && (hasV6 || host !== '[::1]');

const statusOf = (url: string): Promise<number> =>
  new Promise((resolve) => {
    if (url.startsWith('http:')) {
      fetch(url, { signal: AbortSignal.timeout(20_000) }).then(
        ({ status }) => resolve(status),
        () => resolve(0),
      );
      return;
    }
    const agent = new Agent({ rejectUnauthorized: false, keepAlive: false });
    get(url, { agent }, (answer) => resolve(answer.resume().statusCode ?? 0)).on('error', () => resolve(0));
  });

async function answersGrpc(address: string, credentials?: grpc.ChannelCredentials): Promise<boolean> {
  const connection = connect(address, credentials);
  try {
    const stream = connection.open('delta');
    stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
    // On the port with TLS an answer is that nobody has shown an identity.
    return await Promise.race([
      stream.next(() => true).then(() => true),
      stream.status.then(({ code }) => code === grpc.status.UNAUTHENTICATED),
    ]);
  } finally {
    connection.close();
  }
}

/** Which of the ports answer at a host. */
async function open(host: string, { http, https, monitoring, grpc: plain, secureGrpc }: DiscoveryPorts) {
  const tls = grpc.credentials.createSsl(null, null, null, { rejectUnauthorized: false });
  const [ready, metrics, webhook, plainGrpc, securedGrpc] = await Promise.all([
    statusOf(`http://${host}:${http}/ready`),
    statusOf(`http://${host}:${monitoring}/metrics`),
    statusOf(`https://${host}:${https}/ready`),
    answersGrpc(`${host}:${plain}`),
    answersGrpc(`${host}:${secureGrpc}`, tls),
  ]);
  return [ready === 200, metrics === 200, webhook === 200, plainGrpc, securedGrpc];
}

describe.each<readonly [string, readonly string[], readonly string[]]>([
  ['', ['127.0.0.1', '[::1]'], []],
  ['127.0.0.1', ['127.0.0.1'], ['[::1]']],
  ...(hasV6 ? [['[::1]', ['[::1]'], ['127.0.0.1']] as const] : []),
])('at "%s"', (host, heard, deaf) => {
  let plane: TestDiscovery;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'addresses-'));
    const ports = await freePorts('127.0.0.1');
    const flags = [
      ...['--grpcAddr', `${host}:${ports.grpc}`, '--secureGRPCAddr', `${host}:${ports.secureGrpc}`],
      ...['--httpAddr', `${host}:${ports.http}`, '--httpsAddr', `${host}:${ports.https}`],
      ...['--monitoringAddr', `${host}:${ports.monitoring}`, '--stateDir', join(folder, 'state')],
    ];
    const address = host === '' ? '127.0.0.1' : host;
    plane = await startDiscovery({ configFolder: folder, address, ports, flags });
  }, 60_000);
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('every port answers there and nowhere else', async () => {
    for (const one of heard)
      expect([one, ...(await open(one, plane.ports))]).toEqual([one, ...Array(5).fill(reachable(true, one))]);
    for (const one of deaf) expect([one, ...(await open(one, plane.ports))]).toEqual([one, ...Array(5).fill(false)]);
  });

  test('callers have the address by which they are known', async () => {
    const connection = connect(`${heard[0]}:${plane.ports.grpc}`);
    const stream = connection.open('delta');
    stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
    await stream.next(() => true);
    const page = await plane.get('/debug/adsz');
    expect(page).toContain(`"${heard[0]}:`);
    expect(page).not.toContain('::ffff:');
    connection.close();
  });
});
