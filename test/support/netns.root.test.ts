// That pods are apart from each other, and that a sidecar's capture sends the right traffic through Envoy and no other.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Json, startEnvoy, type TestEnvoy } from './envoy.ts';
import { usualArguments } from './iptables-rules.ts';
import { type Pod, PodNetwork } from './netns.ts';
import { waitFor } from './wait.ts';

let network: PodNetwork;
let client: Pod;
let server: Pod;
const envoys: TestEnvoy[] = [];
const clusterIp = '10.96.7.7';

/** A proxy that forwards what it captured to the original destination, but the ClusterIP to one address. */
function sidecar(address: string): Json {
  const listener = (name: string, portValue: number, cluster: string): Json => ({
    name,
    address: { socketAddress: { address: '0.0.0.0', portValue } },
    useOriginalDst: false,
    listenerFilters: [
      {
        name: 'original_dst',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst',
        },
      },
    ],
    filterChains: [
      {
        filterChainMatch: { prefixRanges: [{ addressPrefix: clusterIp, prefixLen: 32 }] },
        filters: [tcpProxy('service')],
      },
      { filters: [tcpProxy(cluster)] },
    ],
  });
  const originalDst = (name: string, bind?: string): Json => ({
    name,
    type: 'ORIGINAL_DST',
    lbPolicy: 'CLUSTER_PROVIDED',
    connectTimeout: '2s',
    ...(bind === undefined ? {} : { upstreamBindConfig: { sourceAddress: { address: bind, portValue: 0 } } }),
  });
  const target = { endpoint: { address: { socketAddress: { address, portValue: 8080 } } } };
  return {
    staticResources: {
      listeners: [listener('out', 15001, 'outbound-passthrough'), listener('in', 15006, 'inbound-passthrough')],
      clusters: [
        originalDst('outbound-passthrough'),
        originalDst('inbound-passthrough', '127.0.0.6'),
        {
          name: 'service',
          type: 'STATIC',
          loadAssignment: { clusterName: 'service', endpoints: [{ lbEndpoints: [target] }] },
        },
      ],
    },
  };
}

function tcpProxy(cluster: string): Json {
  const type = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
  return { name: 'tcp', typedConfig: { '@type': type, statPrefix: cluster, cluster } };
}

const requests = async (envoy: TestEnvoy | undefined, cluster: string) =>
  (await envoy?.stats(`^cluster\\.${cluster}\\.upstream_cx_total$`))?.get(`cluster.${cluster}.upstream_cx_total`);

beforeAll(async () => {
  network = await PodNetwork.create();
  client = await network.addPod('client');
  server = await network.addPod('server');
  await network.setHosts({ 'server.default.svc.cluster.local': clusterIp });
  const echo = server.start({
    name: 'echo',
    command: process.execPath,
    args: [join(import.meta.dirname, 'echo-server.ts'), '--name', 'server'],
  });
  await waitFor('the application', () => echo.output().includes('listens'));
});

afterAll(async () => {
  for (const envoy of envoys) await envoy.stop();
  await network?.close();
});

test('a pod reaches another by its address, and nobody by a ClusterIP', async () => {
  expect(await client.fetch(`http://${server.address}:8080/a`)).toMatchObject({ status: 200 });
  const answer = await client.fetch(`http://${clusterIp}/`, { timeout: 500 });
  expect(answer.status).toBe(0);
});

test('with capture, requests go through both proxies, by address, by ClusterIP and by name', async () => {
  for (const pod of [client, server]) {
    envoys.push(await startEnvoy({ bootstrap: sidecar(server.address), name: pod.name, prefix: pod.asProxy }));
    await pod.capture();
  }
  const direct = await client.fetch(`http://${server.address}:8080/a`);
  expect(JSON.parse(direct.body)).toMatchObject({ name: 'server', path: '/a', peer: '127.0.0.6' });
  const named = await client.fetch('http://server.default.svc.cluster.local/b', { headers: { x: 'y' } });
  expect(JSON.parse(named.body)).toMatchObject({ path: '/b', headers: { x: 'y' }, peer: '127.0.0.6' });
  const [clientEnvoy, serverEnvoy] = envoys;
  expect(await requests(clientEnvoy, 'outbound-passthrough')).toBe(1);
  expect(await requests(clientEnvoy, 'service')).toBe(1);
  expect(await requests(serverEnvoy, 'inbound-passthrough')).toBe(2);
});

test('a pod that talks to itself on loopback is not captured', async () => {
  const before = await requests(envoys[1], 'outbound-passthrough');
  expect(await server.fetch('http://127.0.0.1:8080/')).toMatchObject({ status: 200 });
  expect(await requests(envoys[1], 'outbound-passthrough')).toBe(before);
});

test('what the arguments leave out is not captured', async () => {
  const pod = await network.addPod('picky');
  const args = [...usualArguments, '-x', `${server.address}/32`];
  await pod.capture(args);
  // Without an Envoy, what is captured reaches nobody.
  expect(await pod.fetch(`http://${server.address}:8080/`)).toMatchObject({ status: 200 });
  expect((await pod.fetch(`http://${network.gateway}:8080/`)).error).toBe('ECONNREFUSED');
  expect((await pod.fetch(`http://${clusterIp}/`)).error).toBe('ECONNREFUSED');
});

test('nothing is left after close', async () => {
  const passing = await PodNetwork.create();
  const pod = await passing.addPod('passing');
  const sleeper = pod.start({ name: 'sleeper', command: 'sleep', args: ['60'] });
  expect(sleeper.running).toBe(true);
  await passing.close();
  expect(sleeper.running).toBe(false);
  expect(await readdir('/run/netns')).not.toContain(pod.namespace);
  expect(existsSync(`/etc/netns/${pod.namespace}`)).toBe(false);
});
