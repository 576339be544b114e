// Metrics of endpoints and of gauges without a value, as a scrape shows them.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../config/mesh.ts';
import { Store } from '../config/store.ts';
import { changeOf, graphOf } from '../test/support/world.ts';
import { addClusterMetrics } from './cluster-metrics.ts';
import { createMetrics } from './metrics.ts';

test('endpoints whose pod is not known: now, and each time that their slice changed after everything was read', async () => {
  const store = new Store();
  const registry = new Registry();
  addClusterMetrics({ registry, store, graph: graphOf([], defaultMeshConfig), streams: () => [], now: Date.now });
  const sink = store.sinkOf('test');
  const put = (kind: string, apiVersion: string, name: string, more: object = {}): void => {
    const change = changeOf({ apiVersion, kind, metadata: { name, namespace: 'ns' }, ...more });
    if (change !== undefined) sink.apply([change]);
  };
  const slice = (...pods: readonly string[]) =>
    put('EndpointSlice', 'discovery.k8s.io/v1', 's', {
      endpoints: pods.map((name) => ({ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name } })),
    });
  const values = async (): Promise<readonly number[]> => {
    const names = ['endpoint_no_pod', 'pilot_k8s_endpoints_pending_pod', 'pilot_k8s_endpoints_with_no_pods'];
    const texts = await Promise.all(names.map((name) => registry.getSingleMetricAsString(name)));
    return texts.map((text) => Number(text.slice(text.lastIndexOf(' '))));
  };
  slice('a', 'b');
  expect(await values()).toEqual([2, 2, 0]);
  sink.status({ synced: true, connected: true, since: 0 });
  put('Pod', 'v1', 'a');
  expect(await values()).toEqual([1, 1, 0]);
  slice('a', 'b', 'c');
  expect(await values()).toEqual([2, 2, 2]);
  put('Pod', 'v1', 'b');
  put('Pod', 'v1', 'c');
  slice('a');
  expect(await values()).toEqual([0, 0, 2]);
});

test('a gauge is shown while it has a value', async () => {
  const { registry, gauge } = createMetrics('test');
  let value: number | undefined;
  gauge('x', 'Help.', () => value);
  const shown = async () => /^x (.*)$/m.exec(await registry.metrics())?.[1];
  expect(await shown()).toBeUndefined();
  value = 0;
  expect(await shown()).toBe('0');
  value = undefined;
  expect(await shown()).toBeUndefined();
});
