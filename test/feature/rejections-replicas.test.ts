// Rejections that the status of an object tells, whichever of two replicas the proxy is connected to, on a real API server.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { typeUrls } from '../../discovery/xds-types.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { holderOf, installDefinitions, leaseNamed, leastPrivilege, replica } from '../support/kubernetes-plane.ts';
import { sleep, waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect, type GrpcConnection } from '../support/xds/grpc-client.ts';

const names = ['istiod-1', 'istiod-2'] as const;
type Name = (typeof names)[number];
/** Short, so that a dead replica is soon one. */
const leaseMs = 3_000;

let server: TestApiServer;
let kubeconfig: string;
let planes: Record<Name, TestDiscovery>;
const connections = new Set<GrpcConnection>();

const gateway: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'entry', namespace: 'default' },
  spec: {
    selector: { istio: 'ingressgateway' },
    servers: [{ hosts: ['*'], port: { number: 8080, name: 'http', protocol: 'HTTP' } }],
  },
};
const reportsLease = leaseNamed('istiod-rejections');

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  await installDefinitions(server);
  await server.client.apply(gateway);
  planes = { 'istiod-1': await startPlane('istiod-1'), 'istiod-2': await startPlane('istiod-2') };
}, 300_000);
afterAll(async () => {
  for (const connection of connections) connection.close();
  for (const plane of Object.values(planes ?? {})) await plane[Symbol.asyncDispose]();
  await server?.stop();
});

function startPlane(name: Name): Promise<TestDiscovery> {
  return replica(kubeconfig, name, { environment: { LEASE_DURATION: `${leaseMs}ms` } });
}

function otherThan(name: Name): Name {
  return name === 'istiod-1' ? 'istiod-2' : 'istiod-1';
}

async function leader(): Promise<Name> {
  return waitFor('a leader', async () => {
    const holder = (await holderOf(server.client, 'istio-status-leader')) as Name | undefined;
    return holder !== undefined && planes[holder]?.child.running === true && holder;
  });
}

interface RejectingGateway {
  /** Says that it takes the listeners after all, as Envoy does with a later response that is right. */
  readonly accept: () => void;
  /** Goes, and does not come back. */
  readonly end: () => void;
}

/** A gateway that rejects its listeners, as Envoy with the same words. */
async function rejectAt(name: Name, pod: string, secret = ''): Promise<RejectingGateway> {
  const connection = connect(`127.0.0.1:${planes[name].ports.grpc}`);
  connections.add(connection);
  const { id, metadata } = sidecarNode(pod);
  const node = {
    id: (id ?? '').replace('sidecar', 'router'),
    metadata: { ...metadata, LABELS: { istio: 'ingressgateway' } },
  };
  const typeUrl = typeUrls.listener;
  const stream = connection.open('sotw');
  stream.sotw({ node, typeUrl });
  const { nonce } = await stream.next((message) => message.typeUrl === typeUrl);
  const message = `Error adding/updating listener(s) 0.0.0.0_8080: not this one\n${secret}`;
  stream.sotw({ typeUrl, responseNonce: nonce, errorDetail: { code: 13, message } });
  const end = (): void => {
    connection.close();
    connections.delete(connection);
  };
  return { accept: () => stream.sotw({ typeUrl, responseNonce: nonce, versionInfo: 'taken' }), end };
}

async function programmed(): Promise<string | undefined> {
  const status = (await server.client.get(gateway))['status'] as
    | { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[] }
    | undefined;
  const condition = status?.conditions?.find(({ type }) => type === 'Programmed');
  return condition === undefined ? undefined : `${condition.status}: ${condition.message}`;
}

const rejectedBy = (proxies: string): string =>
  `False: listener 0.0.0.0_8080 is rejected by ${proxies}: Error adding/updating listener(s) 0.0.0.0_8080: not this one`;

async function waitForStatus(expected: string | undefined): Promise<void> {
  const detail = async () => `${await programmed()}\n${names.map((name) => planes[name].child.output().slice(-1500))}`;
  await waitFor(`the status ${expected}`, async () => (await programmed()) === expected, {
    timeoutMs: 20_000,
    detail,
  });
}

async function reports(): Promise<Readonly<Record<string, string>>> {
  const { metadata } = await server.client.get(reportsLease);
  return (metadata['annotations'] ?? {}) as Readonly<Record<string, string>>;
}

async function metric(name: Name, line: string): Promise<number | undefined> {
  const text = await planes[name].get('/metrics');
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length));
}

test('of a proxy at another replica the status tells, through a takeover, until it accepts', async () => {
  const leading = await leader();
  const other = otherThan(leading);
  const first = await rejectAt(other, 'gateway-1', 'secret: "of the configuration"');
  await waitForStatus(rejectedBy('1 proxy'));
  expect(await metric(leading, 'meltemi_rejecting_replicas')).toBe(1);
  expect(await metric(other, 'meltemi_rejecting_replicas')).toBeUndefined();
  expect(JSON.stringify(await reports())).not.toContain('secret');

  const second = await rejectAt(leading, 'gateway-2');
  await waitForStatus(rejectedBy('2 proxies'));

  // Only what hangs there outlives the leader; the status may tell of it before.
  await waitFor('its report', async () => `replica.meltemi.io/${leading}` in (await reports()));

  // The leader dies. What it reported counts for a lease longer, and then no more.
  await planes[leading].child.kill();
  second.end();
  await waitFor('another leader', async () => (await leader()) === other);
  const tookOver = performance.now();
  const seen = new Set<string | undefined>();
  await waitFor('the dead leader to be forgotten', async () => {
    const now = await programmed();
    seen.add(now);
    return now === rejectedBy('1 proxy');
  });
  expect(performance.now() - tookOver).toBeGreaterThan(leaseMs / 2);
  expect([...seen]).toEqual([rejectedBy('2 proxies'), rejectedBy('1 proxy')]);
  const left = async () => Object.keys(await reports()).join();
  await waitFor('its report to go', async () => (await left()) === `replica.meltemi.io/${other}`);

  first.accept();
  await waitForStatus(undefined);
  await waitFor('its report to go', async () => Object.keys(await reports()).length === 0);
  first.end();
  planes[leading] = await startPlane(leading);
}, 120_000);

test('of a replica that dies go with it, after the lease and not before', async () => {
  const leading = await leader();
  const other = otherThan(leading);
  const lost = await rejectAt(other, 'gateway-3');
  await waitForStatus(rejectedBy('1 proxy'));
  await planes[other].child.kill();
  const died = performance.now();
  lost.end();
  await waitForStatus(undefined);
  // It had renewed its report some part of a lease before.
  expect(performance.now() - died).toBeGreaterThan(leaseMs / 2);
  planes[other] = await startPlane(other);
}, 90_000);

test('cost nothing where there are none, and nobody wants more rights than it has', async () => {
  const before = (await server.client.get(reportsLease)).metadata['resourceVersion'];
  const versions = async () => (await server.client.get(gateway)).metadata['resourceVersion'];
  const version = await versions();
  await sleep(2 * leaseMs);
  expect((await server.client.get(reportsLease)).metadata['resourceVersion']).toBe(before);
  expect(await versions()).toBe(version);
  for (const name of names) {
    expect(planes[name].child.output()).not.toMatch(/forbidden/i);
    expect(await metric(name, 'meltemi_rejection_reports_total{outcome="failed"}')).toBeUndefined();
  }
});
