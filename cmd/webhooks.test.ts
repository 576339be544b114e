// The webhooks as the control plane opens them: from the store, counted by istiod's names, with a certificate that changes.
import { request } from 'node:https';
import { connect } from 'node:tls';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../config/mesh.ts';
import { surroundingsOf } from '../config/relations/view.ts';
import { Store } from '../config/store.ts';
import { validate } from '../config/validate.ts';
import { selfSigned, testPod } from '../test/support/webhook.ts';
import { createLogger } from './log.ts';
import { readSettings } from './settings.ts';
import { webhooksOf } from './webhooks.ts';

function post(port: number | undefined, path: string, object: object): Promise<{ response: Record<string, unknown> }> {
  const [version, kind] = [String((object as { apiVersion?: string }).apiVersion), (object as { kind?: string }).kind];
  const group = version.includes('/') ? version.split('/')[0] : '';
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u',
      kind: { group, version: 'v1', kind },
      resource: { group, version: 'v1', resource: `${kind?.toLowerCase()}s` },
      namespace: 'shop',
      operation: 'CREATE',
      object,
    },
  };
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const options = { host: '127.0.0.1', port: port ?? 0, path, method: 'POST', headers, rejectUnauthorized: false };
    const call = request(options, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      if (answer.statusCode === 200) resolve(JSON.parse(text));
      else reject(new Error(`${answer.statusCode}: ${text}`));
    });
    call.on('error', reject);
    call.end(JSON.stringify(review));
  });
}

function commonName(port: number | undefined): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: port ?? 0, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.end();
    });
  });
}

function envoyFilter(maximum: string): object {
  const type = 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit';
  const value = { name: 'limit', typed_config: { '@type': type, stat_prefix: 'l', max_connections: maximum } };
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: 'e', namespace: 'shop' },
    spec: { configPatches: [{ applyTo: 'NETWORK_FILTER', patch: { operation: 'INSERT_BEFORE', value } }] },
  };
}

const none = () => () => undefined;
const options = {
  settings: readSettings({ httpsAddr: '127.0.0.1:0' }, [], {}).settings,
  findings: { report: () => undefined },
  registry: new Registry(),
  log: createLogger('silent'),
  surroundings: () => surroundingsOf(new Store(), defaultMeshConfig, 'cluster.local'),
};

/** A store that has read everything. */
function syncedStore(): Store {
  const store = new Store();
  store.sinkOf('test').status({ synced: true, connected: true, since: 0 });
  return store;
}

test('says why no pod can be injected', async () => {
  const store = syncedStore();
  const metadata = { name: 'istio-sidecar-injector', namespace: 'istio-system' };
  const data = { config: 'templates: {mine: "x"}' };
  const { object } = validate({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
  if (object === undefined) throw new Error('no ConfigMap');
  store.sinkOf('test').apply([{ kind: 'ConfigMap', key: 'istio-system/istio-sidecar-injector', object }]);
  const certificate = selfSigned('one.test');
  await using webhooks = webhooksOf({ ...options, store, tls: { current: () => certificate, onChange: none } });
  const port = await webhooks.open();
  expect(webhooks.readiness().ready).toBe(false);
  await expect(post(port, '/inject', testPod())).rejects.toThrow(/503.*template "mine" is not built in/);
});

test('answers, counts, warns of absent references, and follows the certificate', async () => {
  let certificate = selfSigned('one.test');
  const listeners = new Set<() => void>();
  const registry = new Registry();
  await using webhooks = webhooksOf({
    ...options,
    store: syncedStore(),
    tls: {
      current: () => certificate,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    registry,
  });
  const port = await webhooks.open();
  expect(webhooks.readiness()).toEqual({ ready: true, reason: '' });
  expect((await post(port, '/inject', testPod())).response).toMatchObject({ allowed: true });
  const virtualService = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a', namespace: 'shop' },
    spec: { hosts: ['a.com'], gateways: ['absent'], http: [{ route: [{ destination: { host: 'a' } }] }] },
  };
  const { response } = await post(port, '/validate', virtualService);
  expect(response['allowed']).toBe(true);
  expect(String(response['warnings'])).toContain('absent');
  const broken = { ...virtualService, spec: { ...virtualService.spec, hosts: [] } };
  expect((await post(port, '/validate', broken)).response['allowed']).toBe(false);
  expect((await post(port, '/validate', envoyFilter('5'))).response['allowed']).toBe(true);
  expect((await post(port, '/validate', envoyFilter('many'))).response).toMatchObject({
    allowed: false,
    status: { message: expect.stringMatching(/value\.typed_config\.max_connections: must be a number/) },
  });
  const text = await registry.metrics();
  expect(text).toMatch(/sidecar_injection_requests_total 1\n/);
  expect(text).toMatch(/sidecar_injection_success_total 1\n/);
  expect(text).toMatch(
    /galley_validation_passed\{group="networking.istio.io",version="v1",resource="virtualservices"\} 1/,
  );
  expect(text).toMatch(/galley_validation_failed\{.*reason="/);
  certificate = selfSigned('two.test');
  for (const listener of listeners) listener();
  expect(await commonName(port)).toBe('two.test');
});
