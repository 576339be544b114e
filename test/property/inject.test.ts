// Properties of the injection webhook under any input: no crash, all or nothing, and nothing changed that is not its own.
import fc from 'fast-check';
import { applyPatch } from 'rfc6902';
import { describe, expect, test } from 'vitest';
import { injectAdmitted } from '../../webhook/admit.ts';
import { knownAnnotations } from '../../webhook/annotations.ts';
import { type Container, type Pod, proxyName } from '../../webhook/pod.ts';
import { podShapeProblem } from '../../webhook/pod-shape.ts';
import { parseReview } from '../../webhook/review.ts';
import { emptyCluster, testPod, testSettings } from '../support/webhook.ts';

const name = fc.constantFrom('a', 'b', 'web', 'istio-proxy', 'istio-init', 'istio-validation', '__proto__');
const port = fc.oneof(fc.integer({ min: -1, max: 70_000 }), fc.constantFrom('http', 'nope'));
const handler = fc.oneof(
  fc.record({ httpGet: fc.record({ path: fc.string(), port, scheme: fc.constantFrom('HTTP', 'HTTPS') }) }),
  fc.record({ tcpSocket: fc.record({ port }) }),
  fc.record({ grpc: fc.record({ port: fc.integer() }) }),
  fc.record({ exec: fc.record({ command: fc.array(fc.string()) }) }),
);
const container = fc.record(
  {
    name,
    image: fc.constantFrom('auto', 'x:1', ''),
    args: fc.array(fc.string(), { maxLength: 3 }),
    env: fc.array(fc.record({ name, value: fc.string() }), { maxLength: 3 }),
    ports: fc.array(fc.record({ name: fc.constantFrom('http', 'x'), containerPort: fc.integer() }), { maxLength: 2 }),
    readinessProbe: handler,
    livenessProbe: handler,
    lifecycle: fc.record({ preStop: handler, postStart: handler }, { requiredKeys: [] }),
    securityContext: fc.record({ runAsUser: fc.integer(), privileged: fc.boolean() }, { requiredKeys: [] }),
    volumeMounts: fc.array(fc.record({ name, mountPath: fc.constantFrom('/a', '/etc/istio/proxy') }), { maxLength: 2 }),
  },
  { requiredKeys: ['name'] },
);
const annotations = fc.dictionary(
  fc.constantFrom(...knownAnnotations, 'prometheus.io/port', 'prometheus.io/scrape', 'sidecar.istio.io/status'),
  fc.oneof(
    fc.string(),
    fc.json({ maxDepth: 3 }),
    fc.constantFrom(
      'true',
      'false',
      '80',
      'a: b',
      'a\nb: c',
      'sidecar',
      'gateway',
      'grpc-agent',
      'TPROXY',
      'NONE',
      'envoy',
    ),
  ),
  { maxKeys: 4 },
);
const containers = fc.uniqueArray(container, { maxLength: 4, selector: (item) => item.name });
const pod = fc.record({
  metadata: fc.record({
    name,
    labels: fc.dictionary(fc.constantFrom('app', 'version', 'istio.io/rev', 'sidecar.istio.io/inject'), fc.string()),
    annotations,
  }),
  spec: fc.record(
    {
      containers,
      initContainers: containers,
      volumes: fc.uniqueArray(fc.record({ name, emptyDir: fc.constant({}) }), {
        maxLength: 2,
        selector: (v) => v.name,
      }),
      priority: fc.integer(),
      tolerations: fc.array(fc.record({ key: fc.string() }), { maxLength: 2 }),
      nodeSelector: fc.dictionary(fc.constantFrom('zone', 'arch'), fc.string()),
      affinity: fc.record({ podAntiAffinity: fc.record({ weight: fc.integer() }) }),
      hostAliases: fc.array(fc.record({ ip: fc.constant('10.0.0.1'), hostnames: fc.array(fc.string()) }), {
        maxLength: 2,
      }),
      hostNetwork: fc.constant(false),
      dnsPolicy: fc.constantFrom('ClusterFirst', 'None'),
      dnsConfig: fc.record({ searches: fc.array(fc.string(), { maxLength: 2 }) }),
      securityContext: fc.record({ fsGroup: fc.integer(), runAsUser: fc.integer() }, { requiredKeys: [] }),
      imagePullSecrets: fc.uniqueArray(fc.record({ name }), { maxLength: 2, selector: (secret) => secret.name }),
      serviceAccountName: fc.constantFrom('web', ''),
      terminationGracePeriodSeconds: fc.nat(),
      topologySpreadConstraints: fc.array(fc.record({ maxSkew: fc.nat() }), { maxLength: 1 }),
    },
    { requiredKeys: ['containers'] },
  ),
});

const settings = [
  testSettings(),
  testSettings({ pilot: { cni: { enabled: true, provider: 'multus' } } }, {}, { nativeSidecars: 'enabled' }),
  testSettings({ global: { agentless: { enabled: true } } }, {}, { openShift: true }),
];

/** What a template may add to; the author's part of these is looked at apart. */
const shared = new Set(['containers', 'initContainers', 'volumes', 'imagePullSecrets', 'securityContext']);
/** Annotations that injection writes itself, or completes: ports of the proxy's own are not to be captured. */
const written = new Set([
  ...knownAnnotations.filter((key) => key.startsWith('traffic.sidecar.istio.io/')),
  'sidecar.istio.io/interceptionMode',
  ...['sidecar.istio.io/status', 'proxy.istio.io/overrides', 'istio.io/rev'],
  ...['prometheus.io/port', 'prometheus.io/path', 'prometheus.io/scrape'],
]);

const injected = new Set([proxyName, 'istio-init', 'istio-validation']);
const probes = ['readinessProbe', 'livenessProbe', 'startupProbe', 'lifecycle'];

/** A container without what injection may change in it. */
function ownPart(item: Container): unknown {
  const rest = Object.fromEntries(Object.entries(item).filter(([field]) => !probes.includes(field)));
  return JSON.parse(JSON.stringify(rest));
}

function changed(before: Pod, patch: readonly unknown[]): Pod {
  const after: unknown = structuredClone(before);
  const errors = applyPatch(after, structuredClone(patch) as never);
  expect(errors.filter((error) => error !== null)).toEqual([]);
  return after as Pod;
}

describe('any pod', () => {
  test('is injected as a whole or not at all, and keeps what is its own', () => {
    fc.assert(
      fc.property(pod, fc.constantFrom(...settings), (raw, config) => {
        const before = JSON.parse(JSON.stringify(raw)) as Pod;
        fc.pre(podShapeProblem(before) === undefined);
        const answer = injectAdmitted({ pod: before, namespace: 'shop', proxyEnv: {} }, config, emptyCluster);
        if (answer.kind === 'refused') expect(answer.problems.length).toBeGreaterThan(0);
        if (answer.kind !== 'injected') return;
        const after = changed(before, answer.patch);
        expect(after.metadata?.annotations?.['sidecar.istio.io/status']).toBeDefined();
        const rest = (of: Pod) => Object.entries(of.spec ?? {}).filter(([field]) => !shared.has(field));
        expect(Object.fromEntries(rest(after))).toEqual(Object.fromEntries(rest(before)));
        for (const list of ['volumes', 'imagePullSecrets'] as const) {
          expect(after.spec?.[list] ?? []).toEqual(expect.arrayContaining([...((before.spec?.[list] as []) ?? [])]));
        }
        expect(after.spec?.['securityContext'] ?? {}).toMatchObject(before.spec?.['securityContext'] ?? {});
        const said = Object.entries(before.metadata?.annotations ?? {}).filter(([key]) => !written.has(key));
        expect(after.metadata?.annotations).toMatchObject(Object.fromEntries(said));
        expect(after.metadata?.labels).toMatchObject({ ...before.metadata?.labels, ...injectedLabels(after, before) });
        const isGrpc = (before.metadata?.annotations?.['inject.istio.io/templates'] ?? '').startsWith('grpc');
        const status = before.metadata?.annotations?.['sidecar.istio.io/status'];
        if (isGrpc || status !== undefined) return;
        for (const list of ['containers', 'initContainers'] as const) {
          const own = (of: Pod) => (of.spec?.[list] ?? []).filter((item) => !injected.has(item.name)).map(ownPart);
          expect(own(after)).toEqual(own(before));
        }
      }),
      { numRuns: 400 },
    );
  });

  test('that says anything in any annotation is answered', () => {
    fc.assert(
      fc.property(annotations, (said) => {
        const answer = injectAdmitted(
          { pod: testPod(said), namespace: 'shop', proxyEnv: {} },
          settings[0] as (typeof settings)[number],
          emptyCluster,
        );
        const proxy = JSON.stringify(answer.kind === 'injected' ? answer.patch : []);
        expect(proxy).not.toContain('\\nb: c"');
      }),
      { numRuns: 400 },
    );
  });
});

// Labels that injection may set anew: those by which telemetry groups, and the mode of TLS.
function injectedLabels(after: Pod, before: Pod): Record<string, string> {
  const own = Object.keys(before.metadata?.labels ?? {});
  return Object.fromEntries(Object.entries(after.metadata?.labels ?? {}).filter(([key]) => !own.includes(key)));
}

describe('any review', () => {
  test('of random text is read or refused', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' })), (text) => {
        const parsed = parseReview(text);
        expect('problem' in parsed || typeof parsed.request.uid === 'string').toBe(true);
      }),
    );
  });

  test('with one part replaced by anything is read or refused, and its pod is checked', () => {
    const paths = ['kind', 'apiVersion', 'request', 'uid', 'object', 'metadata', 'spec', 'containers', 'labels'];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
        const review = {
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          request: {
            uid: 'u',
            operation: 'CREATE',
            kind: { group: '', version: 'v1', kind: 'Pod' },
            object: testPod(),
          },
        };
        const text = JSON.stringify(review, (key, member) => (key === path ? value : member));
        const parsed = parseReview(text);
        if ('problem' in parsed || podShapeProblem(parsed.request.object) !== undefined) return;
        const admitted = { pod: parsed.request.object as Pod, namespace: '', proxyEnv: {} };
        const answer = injectAdmitted(admitted, settings[0] as (typeof settings)[number], emptyCluster);
        expect(['injected', 'skipped', 'refused']).toContain(answer.kind);
      }),
      { numRuns: 400 },
    );
  });
});
