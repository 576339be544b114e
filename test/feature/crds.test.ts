// Our CustomResourceDefinitions in a real API server: accepted, served in all versions, and refusing what they should.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { customResourceDefinitions } from '../../config/crd.ts';
import { installCrds } from '../conformance/crd-verdicts.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';

let server: TestApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await installCrds(server.client);
}, 600_000);
afterAll(() => server?.stop());

const named = (apiVersion: string, kind: string, name: string, spec: unknown): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});

test('the API server finds nothing against any of them', async () => {
  for (const definition of customResourceDefinitions()) {
    const stored = await server.client.get(definition as unknown as KubeObject);
    const { conditions } = stored['status'] as { conditions: readonly { type: string; status: string }[] };
    expect(conditions, definition.metadata.name).toContainEqual(
      expect.objectContaining({ type: 'Established', status: 'True' }),
    );
    expect(conditions.filter(({ type }) => type === 'NonStructuralSchema')).toEqual([]);
  }
});

test('an object is the same in every served version', async () => {
  const { client } = server;
  const spec = { host: 'reviews', subsets: [{ name: 'v1', labels: { version: 'v1' } }] };
  await client.create(named('networking.istio.io/v1alpha3', 'DestinationRule', 'reviews', spec));
  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    const read = await client.get(named(`networking.istio.io/${version}`, 'DestinationRule', 'reviews', {}));
    expect(read).toMatchObject({ apiVersion: `networking.istio.io/${version}`, spec });
  }
});

test('the status is a subresource that keeps what others write', async () => {
  const { client } = server;
  const service = named('networking.istio.io/v1', 'ServiceEntry', 'status', { hosts: ['a.com'] });
  await client.create(service);
  const status = {
    conditions: [{ type: 'Reconciled', status: 'True' }],
    addresses: [{ value: '240.240.0.1' }],
    other: 1,
  };
  const path = await client.pathOf(service);
  const patched = await client.request('PATCH', `${path}/status`, { status }, 'application/merge-patch+json');
  expect(patched.status).toBe(200);
  expect((await client.get(service))['status']).toEqual(status);
});

test('the columns that kubectl shows are stored', async () => {
  const [definition] = customResourceDefinitions().filter(({ metadata }) => metadata.name.startsWith('peerauth'));
  const stored = await server.client.get(definition as unknown as KubeObject);
  const { versions } = stored['spec'] as {
    versions: readonly { additionalPrinterColumns: readonly { name: string }[] }[];
  };
  expect(versions.map((version) => version.additionalPrinterColumns.map(({ name }) => name))).toEqual([
    ['Mode', 'Age'],
    ['Mode', 'Age'],
  ]);
});

describe('refused', () => {
  test.each([
    ['a wrong type', 'networking.istio.io/v1', 'DestinationRule', { host: 7 }, 'spec.host'],
    [
      'an unknown enum value',
      'security.istio.io/v1',
      'PeerAuthentication',
      { mtls: { mode: 'X' } },
      'Unsupported value',
    ],
    ['an unknown field', 'networking.istio.io/v1', 'Gateway', { server: [] }, 'unknown field "spec.server"'],
    ['a missing field', 'networking.istio.io/v1', 'ServiceEntry', {}, 'spec.hosts'],
    [
      'what a CEL rule forbids',
      'security.istio.io/v1',
      'PeerAuthentication',
      { portLevelMtls: { 80: { mode: 'STRICT' } } },
      'portLevelMtls requires selector',
    ],
    [
      'a duration of nothing',
      'networking.istio.io/v1',
      'VirtualService',
      { hosts: ['a'], http: [{ timeout: '0s' }] },
      'must be a valid duration greater than 1ms',
    ],
    [
      'a key twice',
      'networking.istio.io/v1',
      'ServiceEntry',
      {
        hosts: ['a.com'],
        ports: [
          { name: 'a', number: 1 },
          { name: 'a', number: 2 },
        ],
      },
      'Duplicate value',
    ],
    [
      'fields that exclude each other',
      'extensions.istio.io/v1alpha1',
      'TrafficExtension',
      { wasm: { url: 'oci://a' }, lua: { inlineCode: 'x' } },
      'exactly one of wasm or lua',
    ],
  ])('%s', async (_, apiVersion, kind, spec, message) => {
    const object = named(apiVersion, kind, 'refused', spec);
    const path = (await server.client.pathOf(object)).replace(/\/[^/]*$/, '');
    const answer = await server.client.request('POST', `${path}?dryRun=All&fieldValidation=Strict`, object);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(String(answer.body.message)).toContain(message);
  });
});
