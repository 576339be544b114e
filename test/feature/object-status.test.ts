// What a control plane writes into the status of mesh objects, on a real API server with exactly its rights.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { customResourceDefinitions } from '../../config/crd.ts';
import { type Diagnostic, formatDiagnostic } from '../../config/diagnostic.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { holderOf, installDefinitions, leastPrivilege, replica } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

let server: TestApiServer;
let kubeconfig: string;
let first: TestDiscovery;
let second: TestDiscovery | undefined;

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  await installDefinitions(server);
  // A definition of old: it has a status, and lets everything in.
  for (const definition of customResourceDefinitions()) {
    if (definition.metadata.name !== 'virtualservices.networking.istio.io') continue;
    const loose = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = definition.spec.versions.map((version) => ({ ...version, schema: loose }));
    await server.client.apply({ ...definition, spec: { ...definition.spec, versions } } as unknown as KubeObject);
  }
  for (const name of ['a', 'b']) {
    await server.client.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec: { ports: [{ name: 'http', port: 80 }] },
    });
  }
  first = await replica(kubeconfig, 'istiod-1');
}, 300_000);
afterAll(async () => {
  await second?.[Symbol.asyncDispose]();
  await first?.[Symbol.asyncDispose]();
  await server?.stop();
});

const mesh = (kind: string, name: string, spec: object = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});
const routeTo = (host: string, subset?: string) => ({
  hosts: ['a'],
  http: [{ route: [{ destination: { host, ...(subset === undefined ? {} : { subset }) } }] }],
});

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}
interface Status {
  readonly conditions?: readonly Condition[];
  readonly validationMessages?: readonly unknown[];
  readonly observedGeneration?: number;
  readonly addresses?: readonly { readonly value: string; readonly host: string }[];
}

async function statusOf(object: KubeObject): Promise<Status | undefined> {
  return (await server.client.get(object))['status'] as Status | undefined;
}
async function condition(object: KubeObject, type: string): Promise<Condition | undefined> {
  return (await statusOf(object))?.conditions?.find((one) => one.type === type);
}
async function versionOf(object: KubeObject): Promise<string> {
  return (await server.client.get(object)).metadata['resourceVersion'] as string;
}
/** The whole cluster's state of mesh objects, to see that nobody writes. */
async function versions(): Promise<readonly string[]> {
  const plurals = ['virtualservices', 'destinationrules', 'serviceentries', 'envoyfilters'];
  const lists = await Promise.all(
    plurals.map((plural) => server.client.list(`/apis/networking.istio.io/v1alpha3/${plural}`)),
  );
  return lists.flat().map(({ metadata }) => `${metadata.name} ${String(metadata['resourceVersion'])}`);
}
async function metric(plane: TestDiscovery, line: string): Promise<number> {
  const text = await plane.get('/metrics');
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(`${line} `))
      ?.slice(line.length) ?? 0,
  );
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const written = (plane: TestDiscovery) =>
  metric(plane, 'meltemi_status_writes_total{writer="objects",outcome="written"}');

describe('a VirtualService that an old definition let in', () => {
  const route = mesh('VirtualService', 'route', routeTo('a'));
  const fine = mesh('VirtualService', 'fine', { ...routeTo('b'), hosts: ['b'] });

  test('is told what is wrong, while the last good version stays and others are not concerned', async () => {
    await server.client.applyAll([route, fine]);
    await waitFor('the good ones', async () => (await first.get('/debug/configz')).includes('"fine"'));
    const before = await versionOf(fine);
    await server.client.merge(route, { spec: { http: [{ route: [{ destination: { host: 'a' }, weight: 'much' }] }] } });
    const accepted = await waitFor('the condition', () => condition(route, 'Accepted'));
    expect(accepted).toMatchObject({ status: 'False', reason: 'Invalid', observedGeneration: 2 });
    expect(accepted.message).toMatch(
      /^The last valid version stays in force\. error\[.*spec\.http\[0\]\.route\[0\]\.weight/,
    );
    const status = await statusOf(route);
    expect(status?.observedGeneration).toBe(2);
    expect(status?.validationMessages).toEqual([
      { type: { name: 'wrong-type', code: 'meltemi/wrong-type' }, level: 'ERROR' },
    ]);
    const objects = JSON.parse(await first.get('/debug/configz')) as readonly KubeObject[];
    expect(objects.find(({ metadata }) => metadata.name === 'route')?.['spec']).toEqual(route['spec']);
    expect(await metric(first, 'pilot_total_rejected_configs{type="VirtualService"}')).toBe(1);

    // Nobody writes any more, and a healthy object was never written.
    const all = await versions();
    await pause(3_000);
    expect(await versions()).toEqual(all);
    expect(await versionOf(fine)).toBe(before);
    expect(await statusOf(fine)).toBeUndefined();
  });

  test('keeps the time of the change while it is invalid in another way, and others’ conditions', async () => {
    const other = { type: 'Theirs', status: 'True', reason: 'Other', message: 'x', lastTransitionTime: null };
    const now = await statusOf(route);
    const path = `${await server.client.pathOf(route)}/status`;
    const conditions = [other, ...(now?.conditions ?? [])];
    await server.client.request('PATCH', path, { status: { conditions } }, 'application/merge-patch+json');
    await server.client.merge(route, { spec: { http: 7 } });
    const accepted = await waitFor('the other message', async () => {
      const one = await condition(route, 'Accepted');
      return one?.observedGeneration === 3 ? one : undefined;
    });
    expect(accepted.lastTransitionTime).toBe(now?.conditions?.[0]?.lastTransitionTime);
    expect((await statusOf(route))?.conditions?.map(({ type }) => type)).toEqual(['Theirs', 'Accepted']);
  });

  test('is told nothing any more once it is mended', async () => {
    await server.client.merge(route, { spec: { http: routeTo('a').http } });
    await waitFor('the status to be taken back', async () => (await condition(route, 'Accepted')) === undefined);
    const status = await statusOf(route);
    expect(status?.conditions?.map(({ type }) => type)).toEqual(['Theirs']);
    expect(status?.validationMessages).toBeUndefined();
  });

  test('is told that a subset is missing, until it is there', async () => {
    const subset = mesh('VirtualService', 'subset', { ...routeTo('b', 'v2'), hosts: ['c.example.com'] });
    await server.client.apply(subset);
    const accepted = await waitFor('the finding', () => condition(subset, 'Accepted'));
    expect(accepted).toMatchObject({ status: 'True', reason: 'AcceptedWithWarnings' });
    expect(accepted.message).toContain('subset v2 of b.default.svc.cluster.local does not exist');
    await server.client.apply(
      mesh('DestinationRule', 'b', { host: 'b', subsets: [{ name: 'v2', labels: { version: 'v2' } }] }),
    );
    await waitFor(
      'the end of it',
      async () => (await statusOf(subset)) === undefined || (await condition(subset, 'Accepted')) === undefined,
    );
  });
});

describe('delegates in a circle', () => {
  const answer = (text: string) => ({ directResponse: { status: 200, body: { string: text } } });
  const to = (name: string) => ({ delegate: { name }, match: [{ uri: { prefix: '/below' } }] });
  const root = (name: string, ...http: object[]) =>
    mesh('VirtualService', name, { hosts: [`${name}.example.com`], http });
  const leaf = (name: string, ...http: object[]) => mesh('VirtualService', name, { http });
  const good = [root('sound', to('sound-leaf')), leaf('sound-leaf', answer('of the sound leaf'))];
  const one = root('one', to('two'), answer('of one itself'));
  const two = root('two', to('one'));
  const self = root('self', to('self'));
  const entry = root('entry', to('ring-a'));
  const ringA = leaf('ring-a', to('ring-b'));
  const ringB = leaf('ring-b', to('ring-a'), answer('of ring b'));
  const findingsOf = async (name: string) => {
    const { findings } = JSON.parse(await first.get('/debug/status')) as { findings: readonly Diagnostic[] };
    return findings.filter(({ object }) => object?.name === name).map(formatDiagnostic);
  };
  const messageOf = async (object: KubeObject) => (await condition(object, 'Accepted'))?.message;

  test('are told of it, hurt nobody else, and give their routes once they are mended', async () => {
    const connection = connect(`127.0.0.1:${first.ports.grpc}`);
    try {
      const stream = connection.open('delta');
      stream.delta({ node: sidecarNode(), typeUrl: typeUrls.route, resourceNamesSubscribe: ['80'] });
      const routes = () => stream.received.findLast(({ resources }) => resources.has('80'))?.resources.get('80') ?? '';
      await server.client.applyAll(good);
      await waitFor('the sound routes', () => routes().includes('of the sound leaf'));
      const before = await Promise.all(good.map(versionOf));

      await server.client.applyAll([one, two, self, entry, ringA, ringB]);
      const circle =
        'so that it stands for itself and cannot be a delegate (the route has no effect: delegates lead in a circle)';
      const ring = 'error[invalid-value] spec.http[0].delegate: a delegate (it has no hosts) cannot delegate further';
      const expected = [
        [one, `warning[invalid-reference] spec.http[0].delegate: VirtualService default/two has hosts, ${circle}`],
        [two, `warning[invalid-reference] spec.http[0].delegate: VirtualService default/one has hosts, ${circle}`],
        [self, `warning[invalid-reference] spec.http[0].delegate: VirtualService default/self has hosts, ${circle}`],
        [
          entry,
          'warning[invalid-reference] spec.http[0].delegate: VirtualService default/ring-a does not exist, ' +
            'or is not valid (the route has no effect)',
        ],
        [ringA, `The object has no effect. ${ring}`],
        [ringB, `The object has no effect. ${ring}`],
      ] as const;
      for (const [object, message] of expected) {
        const { name } = object.metadata;
        // It may be judged before the others of its circle arrive.
        const detail = async () => String(await messageOf(object));
        await waitFor(`the status of ${name}`, async () => (await messageOf(object)) === message, { detail });
        // The object's name stands behind the code there.
        const told = message
          .replace('The object has no effect. ', '')
          .replace('] spec', `] VirtualService default/${name} spec`);
        await expect.poll(() => findingsOf(name)).toEqual([told]);
        expect(first.child.output()).toContain(told);
      }

      // Others have their routes and no word about them; of those in the circle, what they say themselves stays.
      await waitFor('the routes of one', () => routes().includes('of one itself'));
      expect(routes()).toContain('of the sound leaf');
      expect(routes()).not.toContain('of ring b');
      expect(await Promise.all(good.map(versionOf))).toEqual(before);
      expect((await Promise.all(['sound', 'sound-leaf'].map(findingsOf))).flat()).toEqual([]);
      first.child.assertRunning();
      expect((await fetch(`http://127.0.0.1:${first.ports.http}/ready`)).status).toBe(200);

      await server.client.merge(two, { spec: { hosts: null, http: [answer('of two, mended')] } });
      await server.client.merge(ringA, { spec: { http: [answer('of ring a, mended')] } });
      await waitFor('the mended routes', () =>
        ['of two, mended', 'of ring a, mended'].every((text) => routes().includes(text)),
      );
      for (const object of [one, two, entry, ringA]) {
        await waitFor('the end of its finding', async () => (await messageOf(object)) === undefined);
        expect(await findingsOf(object.metadata.name)).toEqual([]);
      }
      expect(await messageOf(self)).toBe(expected[2][1]);
      stream.end();
    } finally {
      connection.close();
      for (const object of [...good, one, two, self, entry, ringA, ringB]) await server.client.delete(object);
    }
  }, 90_000);
});

test('a rejection by a proxy is told of the objects behind it, and taken back', async () => {
  const rule = mesh('DestinationRule', 'b', { host: 'b', subsets: [{ name: 'v2', labels: { version: 'v2' } }] });
  const connection = connect(`127.0.0.1:${first.ports.grpc}`);
  try {
    const stream = connection.open('delta');
    stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
    const { nonce } = await stream.next(({ typeUrl }) => typeUrl === typeUrls.cluster);
    const message = 'Error adding/updating cluster(s) outbound|80|v2|b.default.svc.cluster.local: not this one';
    stream.delta({ typeUrl: typeUrls.cluster, responseNonce: nonce, errorDetail: { code: 3, message } });
    const programmed = await waitFor('the condition', () => condition(rule, 'Programmed'));
    expect(programmed).toMatchObject({ status: 'False', reason: 'ProxyRejected', observedGeneration: 1 });
    expect(programmed.message).toMatch(
      /^cluster outbound\|80\|v2\|b\.default\.svc\.cluster\.local.* is rejected by 1 proxy: Error adding/,
    );
    // Status writes are nothing to proxies.
    const pushes = stream.received.length;
    await pause(2_500);
    expect(stream.received.length).toBe(pushes);
    stream.end();
  } finally {
    connection.close();
  }
  // Not before the new leader's patience is over; then at once.
  await waitFor('the end of it', async () => (await condition(rule, 'Programmed')) === undefined, {
    timeoutMs: 90_000,
  });
}, 120_000);

describe('a ServiceEntry', () => {
  const spec = { resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] };
  const fresh = mesh('ServiceEntry', 'fresh', { ...spec, hosts: ['one.example.com', 'two.example.com'] });

  test('gets its addresses, and proxies use those of its status', async () => {
    await server.client.apply(fresh);
    const addresses = await waitFor('the addresses', async () => (await statusOf(fresh))?.addresses);
    expect(addresses.map(({ host }) => host)).toEqual([
      ...['one.example.com', 'one.example.com'],
      ...['two.example.com', 'two.example.com'],
    ]);
    const of = async (host: string) => {
      const all = JSON.parse(await first.get('/debug/registryz')) as readonly Readonly<Record<string, unknown>>[];
      return all.find(({ hostname }) => hostname === host)?.['autoAddresses'];
    };
    expect(await of('one.example.com')).toEqual(addresses.slice(0, 2).map(({ value }) => value));

    // As a mesh has them that comes from istiod.
    const moved = mesh('ServiceEntry', 'moved', { ...spec, hosts: ['moved.example.com'] });
    const given = [{ value: '240.240.0.77', host: 'moved.example.com' }];
    const noAllocation = { labels: { 'networking.istio.io/enable-autoallocate-ip': 'false' } };
    await server.client.apply({ ...moved, metadata: { ...moved.metadata, ...noAllocation } });
    await server.client.applyStatus({ ...moved, status: { addresses: given } });
    await server.client.merge(moved, { metadata: { labels: null } });
    await waitFor('them to be used', async () => String(await of('moved.example.com')) === '240.240.0.77');
    const all = await versions();
    await pause(1_500);
    expect(await versions()).toEqual(all);
    expect((await statusOf(moved))?.addresses).toEqual(given);
  });
});

test('another replica takes over, and writes nothing that is right already', async () => {
  const missing = mesh('VirtualService', 'missing', { ...routeTo('nowhere'), hosts: ['d.example.com'] });
  const broken = mesh('VirtualService', 'broken', { hosts: 7 });
  await server.client.applyAll([missing, broken]);
  await waitFor(
    'the findings',
    async () => (await condition(missing, 'Accepted')) && (await condition(broken, 'Accepted')),
  );
  expect((await condition(broken, 'Accepted'))?.message).toMatch(/^The object has no effect\. /);
  const successor = await replica(kubeconfig, 'istiod-2');
  second = successor;
  const before = await versions();
  await first[Symbol.asyncDispose]();
  expect(first.child.output()).not.toMatch(/forbidden/i);
  for (const lease of ['istio-status-leader', 'istio-ip-autoallocate']) {
    await waitFor('the other to lead', async () => (await holderOf(server.client, lease)) === 'istiod-2', {
      timeoutMs: 20_000,
    });
  }
  await pause(2_000);
  expect(await versions()).toEqual(before);
  expect(await written(successor)).toBe(0);
  await server.client.merge(missing, { spec: { http: routeTo('a').http } });
  await waitFor('the status to be taken back', async () => (await condition(missing, 'Accepted')) === undefined);
  // It is counted once the API server's answer has come, which may be after everybody can see it.
  await waitFor('it to be counted', async () => (await written(successor)) > 0);
  expect(await written(successor)).toBe(1);
  expect(successor.child.output()).not.toMatch(/forbidden/i);
}, 90_000);
