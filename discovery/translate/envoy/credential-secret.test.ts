// Secrets by the names that proxies ask for: each name its own resource, broken ones absent, ended ones gone, keys never shown.
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../../../config/mesh.ts';
import { openssl } from '../../../test/support/openssl.ts';
import { changeOf, graphOf, jsonOf } from '../../../test/support/world.ts';
import type { Graph } from '../../graph/graph.ts';
import { credentialClock } from '../../model/credential-clock.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { writeObjects } from '../../world.ts';
import { credentialSecrets } from './credential-secret.ts';

const key = openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
const certificate = openssl(['req', '-x509', '-new', '-key', 'key', '-subj', '/CN=a', '-days', '10'], { key });
const pair = { 'tls.crt': certificate, 'tls.key': key };

function raw(kind: string, name: string, namespace: string, data: Readonly<Record<string, string>>) {
  const text = kind === 'Secret' ? { stringData: data } : { data };
  return { apiVersion: 'v1', kind, metadata: { name, namespace }, ...text };
}

const graph = graphOf(
  [
    raw('Secret', 'web', 'a', { ...pair, 'ca.crt': certificate }),
    raw('Secret', 'only-cacert', 'a', { cacert: certificate }),
    raw('Secret', 'broken', 'a', { ...pair, 'tls.key': 'x' }),
    raw('Secret', 'web', 'b', pair),
    raw('ConfigMap', 'roots', 'a', { 'ca.crt': certificate }),
  ],
  defaultMeshConfig,
);

/** The kind of Secret that a proxy of the namespace gets under a name. */
function ask(name: string, namespace = 'a', from: Graph = graph): string | undefined {
  const ref = from.read(credentialSecrets.found, { client: { namespace } as ProxyClass, name });
  const resource = ref === undefined ? undefined : from.read(ref.query, ref.key);
  if (resource === undefined) return undefined;
  const json = jsonOf(resource);
  expect(json['name']).toBe(name);
  expect(JSON.stringify(json)).not.toContain('PRIVATE KEY');
  return Object.keys(json).find((field) => field !== 'name');
}

test.each<readonly [string, string | undefined]>([
  ['kubernetes://web', 'tlsCertificate'],
  ['kubernetes://a/web', 'tlsCertificate'],
  ['kubernetes-gateway://b/web', 'tlsCertificate'],
  ['kubernetes://web-cacert', 'validationContext'],
  ['kubernetes://only-cacert', 'validationContext'],
  ['configmap://a/roots', 'validationContext'],
  ['kubernetes://broken', undefined],
  ['kubernetes://b/web-cacert', undefined],
  ['kubernetes://absent', undefined],
  ['configmap://a/web', undefined],
  ['default', undefined],
  ['invalid://x', undefined],
])('%s', (name, expected) => expect(ask(name)).toBe(expected));

test('a short name stands for another Secret in each namespace', () => {
  expect([ask('kubernetes://only-cacert', 'a'), ask('kubernetes://only-cacert', 'b')]).toEqual([
    'validationContext',
    undefined,
  ]);
});

test('a Secret that appears, is mended, and ends', () => {
  const changing = graphOf([], defaultMeshConfig);
  const put = (data: Readonly<Record<string, string>>) =>
    writeObjects(
      changing,
      [changeOf(raw('Secret', 'web', 'a', data))].filter((change) => change !== undefined),
    );
  const both = () => [ask('kubernetes://web', 'a', changing), ask('kubernetes://a/web', 'a', changing)];
  expect(both()).toEqual([undefined, undefined]);
  put({ ...pair, 'tls.crt': 'x' });
  expect(both()).toEqual([undefined, undefined]);
  put(pair);
  expect(both()).toEqual(['tlsCertificate', 'tlsCertificate']);
  changing.write(credentialClock, 'now', Date.now() + 11 * 86_400_000);
  expect(both()).toEqual([undefined, undefined]);
});
