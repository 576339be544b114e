// Arbitrary pods for property tests: their own fields of every kind, among the names and annotations that injection knows.
import fc from 'fast-check';
import { knownAnnotations } from '../../webhook/annotations.ts';
import type { Pod } from '../../webhook/pod.ts';
import { plainJson } from './plain-json.ts';

/** Names of the pod's own things, of injected ones, and one that must not become a prototype. */
const name = fc.constantFrom('a', 'b', 'web', 'istio-proxy', 'istio-init', 'istio-validation', '__proto__');
const port = fc.oneof(fc.integer({ min: -1, max: 70_000 }), fc.constantFrom('http', 'nope'));
const timing = { timeoutSeconds: fc.nat(), periodSeconds: fc.nat(), failureThreshold: fc.nat() };
const timed = <T extends object>(action: fc.Arbitrary<T>) =>
  fc.tuple(action, fc.record(timing, { requiredKeys: [] })).map(([one, rest]) => ({ ...one, ...rest }));
const handler = fc.oneof(
  timed(fc.record({ httpGet: fc.record({ path: fc.string(), port, scheme: fc.constantFrom('HTTP', 'HTTPS') }) })),
  timed(fc.record({ tcpSocket: fc.record({ port }) })),
  timed(fc.record({ grpc: fc.record({ port: fc.integer() }) })),
  timed(fc.record({ exec: fc.record({ command: fc.array(fc.string()) }) })),
);
const container = fc.record(
  {
    name,
    image: fc.constantFrom('auto', 'x:1', ''),
    args: fc.array(fc.string(), { maxLength: 3 }),
    env: fc.array(fc.record({ name, value: fc.string() }), { maxLength: 3 }),
    ports: fc.array(fc.record({ name: fc.constantFrom('http', 'x'), containerPort: fc.integer() }), { maxLength: 2 }),
    resources: fc.record({ limits: fc.record({ cpu: fc.constantFrom('0.5', '2') }) }),
    readinessProbe: handler,
    livenessProbe: handler,
    lifecycle: fc.record({ preStop: handler, postStart: handler }, { requiredKeys: [] }),
    securityContext: fc.record({ runAsUser: fc.integer(), privileged: fc.boolean() }, { requiredKeys: [] }),
    volumeMounts: fc.array(fc.record({ name, mountPath: fc.constantFrom('/a', '/etc/istio/proxy') }), { maxLength: 2 }),
  },
  { requiredKeys: ['name'] },
);
/** Annotations that injection knows, and some that it does not, with values of every kind. */
export const anyAnnotations = fc.dictionary(
  fc.constantFrom(
    ...knownAnnotations,
    'prometheus.io/port',
    'prometheus.io/scrape',
    'sidecar.istio.io/status',
    'example.com/own',
  ),
  fc.oneof(
    fc.string(),
    fc.json({ maxDepth: 3 }),
    fc.constantFrom(
      '{"containers":["istio-proxy","web"],"initContainers":["istio-init","a"],"volumes":["a"]}',
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
const anything = plainJson(2);
const text = fc.string({ maxLength: 8 });

const ownSpec = {
  volumes: fc.uniqueArray(
    fc.oneof(
      fc.record({ name, emptyDir: fc.record({ medium: fc.constantFrom('', 'Memory') }) }),
      fc.record({ name, configMap: fc.record({ name: text, defaultMode: fc.nat(511) }) }),
      fc.record({ name: fc.constantFrom('istio-envoy', 'istio-token', 'own'), hostPath: fc.record({ path: text }) }),
    ),
    { maxLength: 4, selector: (volume) => volume.name },
  ),
  imagePullSecrets: fc.uniqueArray(fc.record({ name: text }), { maxLength: 2, selector: (secret) => secret.name }),
  securityContext: fc.record(
    {
      runAsUser: fc.nat(),
      fsGroup: fc.nat(),
      supplementalGroups: fc.array(fc.nat(), { maxLength: 2 }),
      sysctls: fc.array(fc.record({ name: text, value: text }), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  ),
  hostNetwork: fc.constant(false),
  hostAliases: fc.array(fc.record({ ip: text, hostnames: fc.array(text) }), { maxLength: 2 }),
  dnsPolicy: fc.constantFrom('ClusterFirst', 'None'),
  dnsConfig: fc.record(
    { searches: fc.array(text), options: fc.array(fc.record({ name: text })) },
    { requiredKeys: [] },
  ),
  affinity: fc.record({ nodeAffinity: anything, podAffinity: anything }, { requiredKeys: [] }),
  nodeSelector: fc.dictionary(text, text, { maxKeys: 2 }),
  nodeName: text,
  serviceAccountName: text,
  automountServiceAccountToken: fc.boolean(),
  terminationGracePeriodSeconds: fc.nat(),
  topologySpreadConstraints: fc.array(fc.record({ topologyKey: text, maxSkew: fc.nat() }), { maxLength: 2 }),
  tolerations: fc.array(fc.record({ key: text }), { maxLength: 2 }),
  ephemeralContainers: fc.array(fc.record({ name, image: text }), { maxLength: 1 }),
  priority: fc.integer(),
  futureField: anything,
};

/** A pod as an API server might send it, sound or not. */
export const anyPod: fc.Arbitrary<Pod> = fc.record(
  {
    apiVersion: fc.constant('v1'),
    kind: fc.constant('Pod'),
    metadata: fc.record(
      {
        name,
        generateName: text,
        labels: fc.dictionary(
          fc.constantFrom(
            'app',
            'version',
            'own',
            'istio.io/rev',
            'sidecar.istio.io/inject',
            'security.istio.io/tlsMode',
          ),
          fc.oneof(text, fc.constantFrom('true')),
        ),
        annotations: anyAnnotations,
        finalizers: fc.array(text, { maxLength: 2 }),
        uid: text,
      },
      { requiredKeys: ['name', 'labels', 'annotations'] },
    ),
    spec: fc.record({ containers, initContainers: containers, ...ownSpec }, { requiredKeys: ['containers'] }),
    status: fc.record({ phase: text }),
  },
  { requiredKeys: ['metadata', 'spec'] },
) as unknown as fc.Arbitrary<Pod>;
