// Tables for injection: what a pod becomes, that it becomes it once only, and what is refused as a whole.
import { describe, expect, test } from 'vitest';
import { emptyCluster, testPod, testSettings } from '../test/support/webhook.ts';
import { injectAdmitted } from './admit.ts';
import type { InjectionSettings } from './context.ts';
import { injectPod } from './inject.ts';
import { type Container, containerOf, type Pod } from './pod.ts';

function inject(pod: Pod, settings: InjectionSettings = testSettings(), proxyEnv: Record<string, string> = {}): Pod {
  const workload = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop' };
  const result = injectPod({ pod, workload, namespace: 'shop', proxyEnv }, settings, emptyCluster);
  if (result.kind === 'refused') throw new Error(result.problems.join('; '));
  return result.pod;
}

function problems(pod: Pod): readonly string[] {
  const workload = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop' };
  const result = injectPod({ pod, workload, namespace: 'shop', proxyEnv: {} }, testSettings(), emptyCluster);
  return result.kind === 'refused' ? result.problems : [];
}

function proxyOf(pod: Pod): Container {
  const proxy = containerOf('istio-proxy', [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]);
  if (proxy === undefined) throw new Error('no proxy');
  return proxy;
}

const variable = (pod: Pod, name: string) => proxyOf(pod).env?.find((item) => item.name === name)?.value;

describe('injection', () => {
  test.each<[string, Record<string, string>, unknown]>([
    ['a sidecar', {}, {}],
    ['an overridden proxy', { 'proxy.istio.io/overrides': '{"containers":[{"name":"istio-proxy","image":"x"}]}' }, {}],
    ['a gateway', { 'inject.istio.io/templates': 'gateway' }, {}],
    ['a gRPC agent', { 'inject.istio.io/templates': 'grpc-agent' }, {}],
    ['a plain Envoy', { 'meltemi.io/proxy': 'envoy' }, {}],
    ['a pod with the CNI plugin', {}, { pilot: { cni: { enabled: true } } }],
  ])('of %s twice is the same as once', (_name, annotations, values) => {
    const settings = testSettings(values);
    const once = inject(testPod(annotations), settings);
    expect(inject(once, settings)).toEqual(once);
  });

  test('keeps two ports of one number, two variables of one name, and the order of containers', () => {
    const ports = [
      { containerPort: 53, protocol: 'TCP' },
      { containerPort: 53, protocol: 'UDP' },
    ];
    const env = [
      { name: 'A', value: '1' },
      { name: 'A', value: '$(A)2' },
    ];
    const containers = [
      { name: 'dns', image: 'x', ports, env },
      { name: 'b', image: 'x' },
    ];
    const annotations = { 'inject.istio.io/templates': 'grpc-agent' };
    const once = inject({ metadata: { annotations }, spec: { containers } });
    const dns = containerOf('dns', once.spec?.containers);
    expect(dns?.ports).toEqual(ports);
    expect(dns?.env).toEqual(expect.arrayContaining(env));
    const late = { name: 'late', image: 'x' };
    const grown = { ...once, spec: { ...once.spec, containers: [...(once.spec?.containers ?? []), late] } };
    expect(inject(grown).spec?.containers?.map(({ name }) => name)).toEqual(['dns', 'b', 'late', 'istio-proxy']);
  });

  test('leaves the admitted pod as it was', () => {
    const pod = testPod();
    const before = structuredClone(pod);
    inject(pod);
    expect(pod).toEqual(before);
  });

  test('rewrites probes by port name and keeps the original for the agent', () => {
    const pod = inject(testPod());
    expect(containerOf('web', pod.spec?.containers)?.readinessProbe).toEqual({
      httpGet: { path: '/app-health/web/readyz', port: 15020 },
    });
    expect(variable(pod, 'ISTIO_KUBE_APP_PROBERS')).toBe(
      '{"/app-health/web/readyz":{"httpGet":{"path":"/ready","port":8080}}}',
    );
  });

  test('adds the probes of a later container to those of an earlier injection', () => {
    const once = inject(testPod());
    const late = { name: 'late', image: 'x', livenessProbe: { tcpSocket: { port: 9 } } };
    const grown: Pod = { ...once, spec: { ...once.spec, containers: [...(once.spec?.containers ?? []), late] } };
    expect(variable(inject(grown), 'ISTIO_KUBE_APP_PROBERS')).toBe(
      '{"/app-health/late/livez":{"tcpSocket":{"port":9}},"/app-health/web/readyz":{"httpGet":{"path":"/ready","port":8080}}}',
    );
  });

  test('puts a native sidecar among the init containers, before those of the pod', () => {
    const pod = testPod();
    const withInit: Pod = { ...pod, spec: { ...pod.spec, initContainers: [{ name: 'migrate', image: 'm' }] } };
    const injected = inject(withInit, testSettings({}, {}, { nativeSidecars: 'enabled' }));
    expect(injected.spec?.initContainers?.map((c) => c.name)).toEqual(['istio-init', 'istio-proxy', 'migrate']);
    expect(proxyOf(injected).restartPolicy).toBe('Always');
  });

  test('puts the proxy first where the application waits for it', () => {
    const injected = inject(testPod({ 'proxy.istio.io/config': 'holdApplicationUntilProxyStarts: true' }));
    expect(injected.spec?.containers?.map((c) => c.name)).toEqual(['istio-proxy', 'web']);
  });

  test('takes cluster and network from the URL', () => {
    const env = { ISTIO_META_CLUSTER_ID: 'west', ISTIO_META_NETWORK: 'n1', EXTRA: 'x' };
    const pod = inject(testPod(), testSettings(), env);
    expect(variable(pod, 'ISTIO_META_CLUSTER_ID')).toBe('west');
    expect(variable(pod, 'EXTRA')).toBe('x');
    expect(pod.metadata?.labels?.['topology.istio.io/network']).toBe('n1');
  });

  test('merges ProxyConfig: mesh, resources, annotation', () => {
    const cluster = { ...emptyCluster, proxyConfigs: () => [{ concurrency: 2, proxyMetadata: { B: '2' } }] };
    const settings = testSettings({}, { defaultConfig: { concurrency: 1, statusPort: 1, proxyMetadata: { A: '1' } } });
    const pod = testPod({ 'proxy.istio.io/config': 'proxyMetadata: {C: "3"}' });
    const workload = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop' };
    const result = injectPod({ pod, workload, namespace: 'shop', proxyEnv: {} }, settings, cluster);
    const text = result.kind === 'injected' ? variable(result.pod, 'PROXY_CONFIG') : '';
    expect(text).toBe('{"concurrency":2,"proxyMetadata":{"A":"1","B":"2","C":"3"},"statusPort":1}\n');
  });

  test('gives a plain Envoy its bootstrap, with late values for the kubelet and none of the user', () => {
    const pod = inject(testPod({ 'meltemi.io/proxy': 'envoy' }, { evil: '$(POD_NAME)' }));
    const args = proxyOf(pod).args ?? [];
    const text = args[args.indexOf('--config-yaml') + 1] ?? '';
    expect(JSON.parse(text).node.id).toBe(
      'sidecar~$(INSTANCE_IP)~$(POD_NAME).$(POD_NAMESPACE)~$(POD_NAMESPACE).svc.cluster.local',
    );
    expect(text).toContain('"evil":"$$(POD_NAME)"');
    expect(containerOf('web', pod.spec?.containers)?.readinessProbe).toEqual({
      httpGet: { path: '/app-health/web/readyz', port: 15020 },
    });
    expect(text).toContain('"prefix_rewrite":"/ready"');
  });
});

describe('refusal', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ['a line break', { 'sidecar.istio.io/proxyImage': 'x\nimagePullPolicy: Always' }, /proxyImage.*line break/s],
    ['YAML that is none', { 'proxy.istio.io/config': 'a: [' }, /proxy\.istio\.io\/config/],
    ['a ProxyConfig field of another type', { 'proxy.istio.io/config': 'concurrency: many' }, /concurrency/],
    ['a port out of range', { 'status.sidecar.istio.io/port': '70000' }, /out of range/],
    ['a range without a prefix', { 'traffic.sidecar.istio.io/includeOutboundIPRanges': '10.0.0.1' }, /no '\/'/],
    ['an unknown mode', { 'sidecar.istio.io/interceptionMode': 'MAGIC' }, /REDIRECT,TPROXY,NONE/],
    ['a quantity that is none', { 'sidecar.istio.io/proxyCPU': 'lots' }, /quantity/],
    ['an unknown template', { 'inject.istio.io/templates': 'sidecar,mine' }, /"mine" not found/],
    ['overrides that are no JSON', { 'proxy.istio.io/overrides': 'not json' }, /overrides/],
    ['overrides that are no containers', { 'proxy.istio.io/overrides': '{"containers":[{"image":1}]}' }, /overrides/],
    ['volumes that are no JSON', { 'sidecar.istio.io/userVolume': '{' }, /userVolume/],
    ['a volume without a name', { 'sidecar.istio.io/userVolume': '[{"noname":1}]' }, /userVolume': item 0 has no name/],
    ['a volume that is none', { 'sidecar.istio.io/userVolume': '[1,"a"]' }, /userVolume': item 0 is no object/],
    ['a volume that is a number', { 'sidecar.istio.io/userVolume': '{"a":1}' }, /userVolume': "a" is no object/],
    [
      'a volume with a line break',
      { 'sidecar.istio.io/userVolume': '{"a\\nb":{}}' },
      /userVolume': .*no volume can have/,
    ],
    ['a mount without a path', { 'sidecar.istio.io/userVolumeMount': '{"a":{}}' }, /Mount': "a" has no mountPath/],
    [
      'a variable with a line break',
      { 'proxy.istio.io/config': 'proxyMetadata: {"A\\nB": x}' },
      /proxyMetadata names "A\\nB", which is no variable/,
    ],
    ['a proxy that does not exist', { 'meltemi.io/proxy': 'nginx' }, /envoy or istio-proxy/],
    ['a line break in histogram bins', { 'sidecar.istio.io/statsHistogramBins': 'a\nb' }, /line break/],
    ['histogram buckets that are no JSON', { 'sidecar.istio.io/statsHistogramBuckets': '{' }, /not JSON/],
  ])('of %s names the annotation', (_name, annotations, text) => {
    expect(problems(testPod(annotations)).join('\n')).toMatch(text);
  });

  // Contract 4.5, except those that hold JSON or YAML.
  test.each([
    ...'inject interceptionMode proxyImage proxyImageType proxyCPU proxyCPULimit proxyMemory proxyMemoryLimit bootstrapOverride logLevel componentLogLevel agentLogLevel rewriteAppHTTPProbers nativeSidecar statsInclusionPrefixes statsInclusionSuffixes statsInclusionRegexps statsHistogramBuckets statsFlushInterval statsEvictionInterval statsHistogramBins statsCompression extraStatTags discoveryAddress enableCoreDump'
      .split(' ')
      .map((name) => `sidecar.istio.io/${name}`),
    ...['Ports', 'IPRanges'].flatMap((what) =>
      ['includeOutbound', 'excludeOutbound', ...(what === 'Ports' ? ['includeInbound', 'excludeInbound'] : [])].map(
        (how) => `traffic.sidecar.istio.io/${how}${what}`,
      ),
    ),
    ...['initialDelaySeconds', 'periodSeconds', 'failureThreshold', 'applicationPorts'].map(
      (name) => `readiness.status.sidecar.istio.io/${name}`,
    ),
    ...['redirection', 'bypass-inbound-capture', 'dns-capture'].map((name) => `ambient.istio.io/${name}`),
    'status.sidecar.istio.io/port',
    'traffic.sidecar.istio.io/excludeInterfaces',
    'istio.io/reroute-virtual-interfaces',
    'traffic.sidecar.istio.io/kubevirtInterfaces',
    'inject.istio.io/templates',
    'prometheus.istio.io/merge-metrics',
    'prometheus.istio.io/scrape-targets',
    'istio.io/rev',
  ])('of a line break in %s', (name) => {
    const reason = `annotation '${name}': contains a line break or another control character`;
    expect(problems(testPod({ [name]: 'a\nb: c' })).join('\n')).toContain(reason);
  });

  const envoy = { 'meltemi.io/proxy': 'envoy' };
  const port = { 'status.sidecar.istio.io/port': '0' };
  const grpc = (name: string) => ({ 'inject.istio.io/templates': name });

  test.each<[Record<string, string>, readonly [string, string]]>([
    [{ ...envoy, ...grpc('grpc-agent') }, ['inject.istio.io/templates: grpc-agent', 'meltemi.io/proxy: envoy']],
    [{ ...envoy, ...grpc('sidecar,grpc-simple') }, ['templates: sidecar,grpc-simple', 'meltemi.io/proxy: envoy']],
    [{ ...envoy, 'sidecar.istio.io/bootstrapOverride': 'a' }, ['bootstrapOverride', 'meltemi.io/proxy: envoy']],
    [{ ...envoy, 'sidecar.istio.io/userVolume': '{"a":{}}' }, ['userVolume', 'meltemi.io/proxy: envoy']],
    [
      { ...envoy, 'sidecar.istio.io/userVolumeMount': '{"a":{"mountPath":"/a"}}' },
      ['userVolumeMount', 'meltemi.io/proxy: envoy'],
    ],
    [{ ...envoy, 'prometheus.istio.io/merge-metrics': 'true' }, ['merge-metrics: true', 'meltemi.io/proxy: envoy']],
    [port, ['status.sidecar.istio.io/port: 0', 'sidecar.istio.io/rewriteAppHTTPProbers']],
    [{ ...port, ...grpc('grpc-agent') }, ['status.sidecar.istio.io/port: 0', 'rewriteAppHTTPProbers']],
  ])('of annotations that exclude each other names both: %j', (annotations, names) => {
    const [only, ...more] = problems(testPod(annotations));
    expect(more).toEqual([]);
    for (const name of names) expect(only).toContain(name);
  });

  test.each<[Record<string, string>, Pod]>([
    [{ ...envoy, ...grpc('gateway') }, testPod()],
    [{ 'meltemi.io/proxy': 'istio-proxy', ...grpc('grpc-agent') }, testPod()],
    [{ ...envoy, 'prometheus.istio.io/merge-metrics': 'false' }, testPod()],
    [{ ...envoy, ...port }, testPod()],
    [{ ...port, 'sidecar.istio.io/rewriteAppHTTPProbers': 'false' }, testPod()],
    [{ ...port, ...grpc('grpc-simple') }, testPod()],
    [port, { metadata: {}, spec: { containers: [{ name: 'web', image: 'x' }] } }],
  ])('is not the answer to annotations that go together: %j', (annotations, pod) => {
    expect(problems({ ...pod, metadata: { ...pod.metadata, annotations } })).toEqual([]);
  });

  test('names every annotation at fault', () => {
    const pod = testPod({ 'sidecar.istio.io/interceptionMode': 'X', 'status.sidecar.istio.io/port': 'y' });
    expect(problems(pod)).toHaveLength(2);
  });
});

describe('admission', () => {
  test.each<[string, Pod, boolean]>([
    ['a pod that says nothing', testPod(), true],
    ['a label that says no', testPod({}, { 'sidecar.istio.io/inject': 'false' }), false],
    [
      'a label over an annotation',
      testPod({ 'sidecar.istio.io/inject': 'false' }, { 'sidecar.istio.io/inject': 'true' }),
      true,
    ],
    ['a value that is neither', testPod({ 'sidecar.istio.io/inject': 'off' }), true],
    ['the host network', { ...testPod(), spec: { ...testPod().spec, hostNetwork: true } }, false],
    ['a system namespace', { ...testPod(), metadata: { name: 'a', namespace: 'kube-system' } }, false],
  ])('of %s', (_name, pod, injected) => {
    const answer = injectAdmitted({ pod, namespace: 'shop', proxyEnv: {} }, testSettings(), emptyCluster);
    expect(answer.kind).toBe(injected ? 'injected' : 'skipped');
  });

  test('by selectors: never before always', () => {
    const selector = [{ matchLabels: { app: 'web' } }];
    const values = { sidecarInjectorWebhook: { neverInjectSelector: selector, alwaysInjectSelector: selector } };
    const answer = injectAdmitted(
      { pod: testPod(), namespace: 'shop', proxyEnv: {} },
      testSettings(values),
      emptyCluster,
    );
    expect(answer.kind === 'skipped' ? answer.decision.rule : '').toBe('never-inject-selector');
  });

  test('by an always selector where the policy is disabled', () => {
    const values = {
      global: { proxy: { autoInject: 'disabled' } },
      sidecarInjectorWebhook: { alwaysInjectSelector: [{ matchExpressions: [{ key: 'app', operator: 'Exists' }] }] },
    };
    const answer = injectAdmitted(
      { pod: testPod(), namespace: 'shop', proxyEnv: {} },
      testSettings(values),
      emptyCluster,
    );
    expect(answer.kind).toBe('injected');
  });
});
