// The webhooks' settings follow the store: ConfigMaps, nodes, namespaces and ProxyConfigs, and keep the last good ones.
import { expect, test } from 'vitest';
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { SourceSink } from '../config/sources/source.ts';
import { Store } from '../config/store.ts';
import { validate } from '../config/validate.ts';
import { settingsOfStore } from './store-settings.ts';

const process = { revision: '', nativeSidecars: 'auto', compliancePolicy: '', openShift: false } as const;

function follow() {
  const store = new Store();
  const sink = store.sinkOf('test');
  const reports: (readonly string[])[] = [];
  const view = settingsOfStore({
    store,
    systemNamespace: 'istio-system',
    clusterId: 'Kubernetes',
    process,
    report: (findings) => reports.push(findings.map(formatDiagnostic)),
  });
  return { view, reports, put: (...objects: readonly object[]) => put(sink, objects) };
}

function put(sink: SourceSink, objects: readonly object[]): void {
  sink.apply(
    objects.map((raw) => {
      const { object, diagnostics } = validate({ apiVersion: 'v1', ...raw });
      if (object === undefined) throw new Error(JSON.stringify(diagnostics));
      const { namespace, name } = object.metadata;
      return { kind: object.kind, key: `${namespace}/${name}`, object };
    }),
  );
}

const injector = (data: Record<string, string>) => ({
  kind: 'ConfigMap',
  metadata: { name: 'istio-sidecar-injector', namespace: 'istio-system' },
  data,
});

test('without ConfigMaps the defaults are in force', () => {
  const { view } = follow();
  expect(view.settings()?.policy.policy).toBe('enabled');
  expect(view.settings()?.defaultTemplates).toEqual(['sidecar']);
});

test('a changed ConfigMap counts at once, a broken one leaves the last good in force and says why', () => {
  const { view, put } = follow();
  put(injector({ config: 'policy: disabled', values: '{"global":{"tag":"9"}}' }));
  expect(view.settings()?.policy.policy).toBe('disabled');
  expect(view.settings()?.values.tag).toBe('9');
  put(injector({ config: 'policy: [' }));
  expect(view.settings()?.policy.policy).toBe('disabled');
  expect(view.diagnostics()).toHaveLength(1);
  put(injector({ config: 'policy: enabled' }));
  expect(view.settings()?.policy.policy).toBe('enabled');
  expect(view.diagnostics()).toEqual([]);
});

test('what is wrong with the ConfigMaps is reported with each change, and that it is mended', () => {
  const { reports, put } = follow();
  put(injector({ config: 'policy: enabled' }));
  put({ kind: 'Node', metadata: { name: 'n1' } });
  put(injector({ config: 'policy: [' }));
  put(injector({ config: 'templates: {mine: "x"}' }));
  put(injector({ config: 'policy: disabled' }));
  const about = 'ConfigMap istio-system/istio-sidecar-injector';
  const kept = `warning[kept-last-good] ${about}: pods are injected by the last valid settings`;
  expect(reports).toEqual([
    [],
    [],
    [expect.stringMatching(/^error\[yaml-syntax\] .*istio-sidecar-injector data\.config: line \d+: /), kept],
    [
      `error[invalid-value] ${about} data.config: templates: template "mine" is not built in (templates of your own (Go text/template) are not supported yet; remove the template)`,
      kept,
    ],
    [],
  ]);
});

test("a template of the user's own is refused by its name, those of the chart are known", () => {
  const { view, put } = follow();
  put(injector({ config: 'templates: {sidecar: "a", kube-gateway: "b", mine: "c"}' }));
  expect(view.diagnostics().map(({ message }) => message)).toEqual(['templates: template "mine" is not built in']);
  put(injector({ config: 'defaultTemplates: [sidecar, mine]' }));
  expect(view.diagnostics()[0]?.message).toMatch(/no template "mine"/);
});

test('the mesh comes from ConfigMap istio, with defaults of the values', () => {
  const { view, put } = follow();
  const mesh = 'trustDomain: example.org\ndefaultConfig: {concurrency: 3}';
  put(injector({ values: '{"global":{"meshID":"m"}}' }), {
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh },
  });
  expect(view.settings()?.mesh).toMatchObject({
    trustDomain: 'example.org',
    defaultConfig: { concurrency: 3, meshId: 'm' },
  });
});

test('nodes, namespaces and ProxyConfigs are those of the store', () => {
  const { view, put } = follow();
  const proxyConfig = (name: string, namespace: string, concurrency: number, matchLabels?: Record<string, string>) => ({
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'ProxyConfig',
    metadata: { name, namespace },
    spec: { concurrency, ...(matchLabels === undefined ? {} : { selector: { matchLabels } }) },
  });
  put(
    { kind: 'Node', metadata: { name: 'n1' }, status: { nodeInfo: { kubeletVersion: 'v1.33.1' } } },
    { kind: 'Namespace', metadata: { name: 'shop', annotations: { a: 'b' } } },
    proxyConfig('own', 'shop', 3, { app: 'web' }),
    proxyConfig('wide', 'shop', 2),
    proxyConfig('root', 'istio-system', 1),
    proxyConfig('other', 'elsewhere', 9),
  );
  view.settings();
  expect(view.cluster.kubeletVersions('Kubernetes')).toEqual(['v1.33.1']);
  expect(view.cluster.kubeletVersions('Kubernetes', 'n2')).toEqual([]);
  expect(view.cluster.kubeletVersions('west')).toEqual([]);
  expect(view.cluster.namespaceAnnotations('shop')).toEqual({ a: 'b' });
  expect(view.cluster.proxyConfigs('shop', { app: 'web' })).toEqual([
    { concurrency: 1 },
    { concurrency: 2 },
    { concurrency: 3 },
  ]);
  expect(view.cluster.proxyConfigs('shop', { app: 'db' })).toEqual([{ concurrency: 1 }, { concurrency: 2 }]);
});
