// What a Kubernetes source hands on: objects cut down to what is read.
import { expect, test } from 'vitest';
import { kindNames } from '../kinds/kinds.ts';
import { Store } from '../store.ts';
import { validate } from '../validate.ts';
import { startKubeSource } from './kube.ts';
import type { KubeApi, WatchEvent } from './kube-api.ts';

test('of others’ ConfigMaps and Secrets no text is kept, of ours what is read', async () => {
  const large = 'x'.repeat(1_000_000);
  const copy = { 'kubectl.kubernetes.io/last-applied-configuration': large };
  const objectOf = (kind: string, name: string, body: object) => ({
    ...{ apiVersion: 'v1', kind },
    metadata: { name, namespace: 'n', uid: name, resourceVersion: '1', annotations: copy },
    ...body,
  });
  const told: Readonly<Record<string, readonly object[]>> = {
    configmaps: [
      objectOf('ConfigMap', 'dashboards', { data: { 'a.json': large }, binaryData: { b: large } }),
      objectOf('ConfigMap', 'istio-ca-root-cert', { data: { 'root-cert.pem': 'pem', other: large } }),
    ],
    secrets: [objectOf('Secret', 'a', { type: 'Opaque', data: { kubeconfig: large, 'tls.crt': 'eHg=' } })],
  };
  const end = { metadata: { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } } };
  const api: KubeApi = {
    origin: 'test',
    send: () => Promise.reject(new Error('nothing is to be sent')),
    watch: (path, onEvents, signal, _idleMs, onOpen) => {
      onOpen?.();
      const objects = told[path.split('?')[0]?.split('/').at(-1) ?? ''] ?? [];
      const events: WatchEvent[] = objects.map((object) => ({ type: 'ADDED', object }));
      onEvents([...events, { type: 'BOOKMARK', object: end }]);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    },
    [Symbol.dispose]: () => undefined,
  };
  const store = new Store();
  const without = kindNames.filter((kind) => kind !== 'ConfigMap' && kind !== 'Secret');
  const sleep = () => Promise.resolve();
  await using _source = startKubeSource(
    { api, check: validate, without, sleep, random: () => 0, now: () => 0 },
    store.sinkOf('kubernetes'),
  );
  await expect.poll(() => store.synced).toBe(true);
  expect(store.list('ConfigMap').map(({ data }) => data)).toEqual([{}, { 'root-cert.pem': 'pem' }]);
  expect(store.list('Secret').map(({ data }) => data)).toEqual([{ 'tls.crt': 'eHg=' }]);
  expect(JSON.stringify([...store.entries()]).length).toBeLessThan(2_000);
});
