// Properties of the injection webhook under any input: no crash, all or nothing, and nothing changed that is not its own.

import { applyPatch } from 'rfc6902';
import { describe, expect, test } from 'vitest';
import { injectAdmitted } from '../../webhook/admit.ts';
import type { InjectionSettings } from '../../webhook/context.ts';
import { namedItems } from '../../webhook/parts.ts';
import { type Pod, proxyName } from '../../webhook/pod.ts';
import { podShapeProblem } from '../../webhook/pod-shape.ts';
import { canonicalResources } from '../../webhook/quantity.ts';
import { parseReview } from '../../webhook/review.ts';
import { templateNamesOf } from '../../webhook/template.ts';
import { anyAnnotations, anyPod } from '../support/any-pod.ts';
import { plainJson } from '../support/plain-json.ts';
import { fc } from '../support/property.ts';
import { emptyCluster, testPod, testSettings } from '../support/webhook.ts';

const settings = [
  testSettings(),
  testSettings({ pilot: { cni: { enabled: true, provider: 'multus' } } }, {}, { nativeSidecars: 'enabled' }),
  testSettings({ global: { agentless: { enabled: true } } }, {}, { openShift: true }),
];

/** Everything that injection may add, change or take away. What is not here must stay as it was. */
const allowed = {
  /** These labels may be added; one that says something is not changed. */
  labels: [
    'security.istio.io/tlsMode',
    'service.istio.io/canonical-name',
    'service.istio.io/canonical-revision',
    'networking.istio.io/tunnel',
  ],
  annotations: [
    'sidecar.istio.io/status',
    'istio.io/rev',
    'proxy.istio.io/overrides',
    'kubectl.kubernetes.io/default-container',
    'kubectl.kubernetes.io/default-logs-container',
    'meltemi.io/roots',
    ...['path', 'port', 'scrape'].flatMap((name) => [`prometheus.io/${name}`, `prometheus_io/${name}`]),
  ],
  grpcAnnotations: ['sidecar.istio.io/rewriteAppHTTPProbers'],
  cniAnnotations: [
    'k8s.v1.cni.cncf.io/networks',
    'sidecar.istio.io/interceptionMode',
    ...['includeOutboundIPRanges', 'excludeOutboundIPRanges'].map((name) => `traffic.sidecar.istio.io/${name}`),
    ...['includeInboundPorts', 'excludeInboundPorts', 'includeOutboundPorts', 'excludeOutboundPorts'].map(
      (name) => `traffic.sidecar.istio.io/${name}`,
    ),
  ],
  containers: [proxyName, 'istio-init', 'istio-validation', 'grpc-bootstrap-init'],
  volumes: [
    ...['workload-socket', 'credential-socket', 'workload-certs', 'istio-envoy', 'istio-data', 'istio-podinfo'],
    ...['istio-token', 'istiod-ca-cert', 'istio-ca-crl', 'istio-xds', 'grpc-io-proxyless-bootstrap'],
    'custom-bootstrap-volume',
  ],
  /** The action of a probe or lifecycle call leads to the proxy; how often it is made stays. */
  actions: ['httpGet', 'tcpSocket', 'grpc'],
  /** What the application's own container gets where its gRPC library speaks xDS. */
  grpcVariables: [
    'GRPC_XDS_EXPERIMENTAL_SECURITY_SUPPORT',
    'GRPC_XDS_BOOTSTRAP',
    'GRPC_GO_LOG_VERBOSITY_LEVEL',
    'GRPC_GO_LOG_SEVERITY_LEVEL',
  ],
  grpcMounts: [
    ...['/var/lib/istio/data', '/etc/istio/proxy', '/var/run/secrets/workload-spiffe-credentials'],
    '/var/lib/grpc/data/',
  ],
} as const;

type Fields = Readonly<Record<string, unknown>>;

const without = (object: unknown, names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries((object ?? {}) as Fields).filter(([name]) => !names.includes(name)));

const others = (list: unknown, key: string, names: readonly string[]): readonly Fields[] =>
  ((list ?? []) as readonly Fields[]).filter((item) => !names.includes(String(item[key])));

/** The pod without what is allowed. */
function outside(pod: Pod, asked: Asked): unknown {
  const { metadata, spec, ...rest } = pod;
  const annotations = [
    ...allowed.annotations,
    ...(asked.isGrpc ? allowed.grpcAnnotations : []),
    ...(asked.config.values.cni.enabled ? allowed.cniAnnotations : []),
  ];
  // And the volumes that the pod itself asks for.
  const volumes = [...allowed.volumes, ...userVolumes(pod)];
  const own = (list: unknown) => others(list, 'name', allowed.containers).map((item) => ownPart(item, asked.isGrpc));
  return JSON.parse(
    JSON.stringify({
      ...rest,
      metadata: {
        ...metadata,
        labels: without(metadata?.labels, allowed.labels),
        annotations: without(metadata?.annotations, annotations),
      },
      spec: {
        ...without(spec, asked.templates.includes('waypoint') ? ['terminationGracePeriodSeconds'] : []),
        containers: own(spec?.containers),
        initContainers: own(spec?.initContainers),
        volumes: others(spec?.volumes, 'name', volumes),
        securityContext: without(spec?.['securityContext'], asked.isGateway ? ['sysctls'] : []),
      },
    }),
  );
}

function ownPart(container: Fields, isGrpc: boolean): unknown {
  const call = (value: unknown) => (value === undefined ? undefined : without(value, allowed.actions));
  const lifecycle = container['lifecycle'] as Fields | undefined;
  const probes = ['readinessProbe', 'livenessProbe', 'startupProbe'].map((name) => [name, call(container[name])]);
  return {
    ...container,
    ...Object.fromEntries(probes),
    lifecycle: lifecycle && {
      ...lifecycle,
      ...Object.fromEntries(['preStop', 'postStart'].map((name) => [name, call(lifecycle[name])])),
    },
    ...(isGrpc
      ? {
          env: others(container['env'], 'name', allowed.grpcVariables),
          volumeMounts: others(container['volumeMounts'], 'mountPath', allowed.grpcMounts),
          // The same quantities in Kubernetes' own form.
          resources: canonicalResources((container['resources'] ?? {}) as Fields),
        }
      : {}),
  };
}

function userVolumes(pod: Pod): readonly string[] {
  return namedItems(pod.metadata?.annotations?.['sidecar.istio.io/userVolume']).map((volume) => volume.name);
}

/** What decides which part of the allow-list counts for a pod. */
interface Asked {
  readonly config: InjectionSettings;
  readonly templates: readonly string[];
  readonly isGrpc: boolean;
  readonly isGateway: boolean;
}

function askedBy(pod: Pod, config: InjectionSettings): Asked {
  const templates = templateNamesOf(pod, config);
  const has = (...names: readonly string[]) => names.some((name) => templates.includes(name));
  return { config, templates, isGrpc: has('grpc-agent', 'grpc-simple'), isGateway: has('gateway', 'waypoint') };
}

function changed(before: Pod, patch: readonly unknown[]): Pod {
  const after: unknown = structuredClone(before);
  const errors = applyPatch(after, structuredClone(patch) as never);
  expect(errors.filter((error) => error !== null)).toEqual([]);
  return after as Pod;
}

describe('any pod', () => {
  const inject = (pod: Pod, config: InjectionSettings) =>
    injectAdmitted({ pod, namespace: 'shop', proxyEnv: {} }, config, emptyCluster);

  /** Injects and checks the outcome; undefined where the pod was not injected. */
  function checked(before: Pod, config: InjectionSettings): Pod | undefined {
    const untouched = structuredClone(before);
    const answer = inject(before, config);
    expect(before).toEqual(untouched);
    if (answer.kind === 'refused') expect(answer.problems.length).toBeGreaterThan(0);
    if (answer.kind !== 'injected') return undefined;
    const after = changed(before, answer.patch);
    expect(after.metadata?.annotations?.['sidecar.istio.io/status']).toBeDefined();
    const asked = askedBy(before, config);
    expect(outside(after, asked)).toEqual(outside(before, asked));
    const said = Object.entries(before.metadata?.labels ?? {}).filter(([, value]) => value !== '');
    expect(after.metadata?.labels).toMatchObject(Object.fromEntries(said));
    return after;
  }

  test('is injected as a whole or not at all, and keeps what is its own', () => {
    const outcomes = { injected: 0, other: 0 };
    fc.assert(
      fc.property(anyPod, fc.constantFrom(...settings), (raw, config) => {
        const before = JSON.parse(JSON.stringify(raw)) as Pod;
        fc.pre(podShapeProblem(before) === undefined);
        outcomes[checked(before, config) === undefined ? 'other' : 'injected']++;
      }),
      { numRuns: 600 },
    );
    // Pods that are never injected would show nothing.
    expect(outcomes.injected).toBeGreaterThan(100);
  });

  test('that was injected before keeps what was added since', () => {
    const template = fc.constantFrom('sidecar', 'gateway', 'waypoint', 'grpc-agent', 'grpc-simple', 'sidecar,gateway');
    fc.assert(
      fc.property(anyPod, anyPod, template, fc.constantFrom(...settings), (raw, more, name, config) => {
        const [first, later] = [raw, more].map((one) => JSON.parse(JSON.stringify(one)) as Pod) as [Pod, Pod];
        const annotations = { 'inject.istio.io/templates': name, 'example.com/own': 'a' };
        const start = { ...first, metadata: { ...first.metadata, annotations } };
        fc.pre(podShapeProblem(start) === undefined && podShapeProblem(later) === undefined);
        const once = checked(start, config);
        if (once === undefined) return;
        const known = new Set(
          [...(once.spec?.containers ?? []), ...(once.spec?.initContainers ?? [])].map((c) => c.name),
        );
        const late = (later.spec?.containers ?? []).filter((item) => !known.has(item.name));
        const grown: Pod = {
          ...once,
          metadata: { ...once.metadata, labels: { ...once.metadata?.labels, late: 'x' } },
          spec: { ...later.spec, ...once.spec, containers: [...(once.spec?.containers ?? []), ...late] },
        };
        checked(grown, config);
      }),
      { numRuns: 400 },
    );
  });

  test('that says anything in any annotation is answered', () => {
    fc.assert(
      fc.property(anyAnnotations, (said) => {
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
      fc.property(fc.constantFrom(...paths), plainJson(3), (path, value) => {
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
