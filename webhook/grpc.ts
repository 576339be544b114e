// Pods of proxyless gRPC applications: with an agent that fetches certificates, or with a bootstrap file alone.
import type { Overlay, TemplateContext } from './context.ts';
import * as parts from './parts.ts';
import { type Container, proxyName } from './pod.ts';

/** The application's gRPC library takes its configuration from an agent beside it (`grpc-agent`). */
export function grpcAgentOverlay(context: TemplateContext): Overlay {
  const application = parts.appContainersOf(context).map((name) => ({
    name,
    env: [
      parts.variable('GRPC_XDS_EXPERIMENTAL_SECURITY_SUPPORT', 'true'),
      parts.variable('GRPC_XDS_BOOTSTRAP', '/etc/istio/proxy/grpc-bootstrap.json'),
    ],
    volumeMounts: [
      { name: 'istio-data', mountPath: '/var/lib/istio/data' },
      { name: 'istio-xds', mountPath: '/etc/istio/proxy' },
      { name: 'workload-certs', mountPath: '/var/run/secrets/workload-spiffe-credentials' },
    ],
  }));
  const first = parts.appContainersOf(context)[0];
  const unset = (name: string) => !Object.hasOwn(context.annotations, name);
  const defaults = ['kubectl.kubernetes.io/default-logs-container', 'kubectl.kubernetes.io/default-container'];
  return {
    metadata: {
      labels: parts.canonicalLabels(context),
      annotations: {
        'istio.io/rev': context.settings.revision === '' ? 'default' : context.settings.revision,
        ...(first === undefined ? {} : Object.fromEntries(defaults.filter(unset).map((name) => [name, first]))),
        'sidecar.istio.io/rewriteAppHTTPProbers': 'false',
      },
    },
    spec: {
      containers: [agentContainer(context), ...application],
      volumes: [
        { name: 'workload-socket' },
        { name: 'workload-certs' },
        { name: 'istio-xds', emptyDir: { medium: 'Memory' } },
        { name: 'istio-data', emptyDir: {} },
        ...parts.identityVolumes(context),
      ],
      ...parts.pullSecretsOf(context),
    },
  };
}

function agentContainer(context: TemplateContext): Container {
  const { values } = context;
  const custom = parts.annotated(context, 'sidecar.istio.io/proxyImage', values.proxy.image);
  return {
    name: proxyName,
    image: custom.includes('/') ? custom : context.image,
    ports: [{ containerPort: 15020, protocol: 'TCP', name: 'mesh-metrics' }],
    args: parts.agentArgs(context, 'sidecar'),
    lifecycle: {
      postStart: { exec: { command: ['pilot-agent', 'wait', '--url=http://localhost:15020/healthz/ready'] } },
    },
    env: [
      parts.variable('ISTIO_META_GENERATOR', 'grpc'),
      parts.variable('OUTPUT_CERTS', '/var/lib/istio/data'),
      ...parts.identityEnv(context),
      ...parts.configEnv(context, false),
      ...parts.workloadEnv(context),
      // The agent is to listen for the gRPC library only: no Envoy, no DNS capture.
      parts.variable('DISABLE_ENVOY', 'true'),
      parts.variable('ISTIO_META_DNS_CAPTURE', 'false'),
    ],
    ...parts.pullPolicyOf(context),
    readinessProbe: parts.readinessProbe(context, 15020),
    resources: parts.resourcesOf(context),
    volumeMounts: [
      { name: 'workload-socket', mountPath: '/var/run/secrets/workload-spiffe-uds' },
      { name: 'workload-certs', mountPath: '/var/run/secrets/workload-spiffe-credentials' },
      ...(values.pilotCertProvider === 'istiod'
        ? [{ name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio' }]
        : []),
      { name: 'istio-data', mountPath: '/var/lib/istio/data' },
      { name: 'istio-xds', mountPath: '/etc/istio/proxy' },
      { name: 'istio-token', mountPath: '/var/run/secrets/tokens' },
      { name: 'istio-podinfo', mountPath: '/etc/istio/pod' },
    ],
  };
}

/** The application's gRPC library connects to the control plane itself, in plaintext (`grpc-simple`). */
export function grpcSimpleOverlay(context: TemplateContext): Overlay {
  const bootstrapMount = { name: 'grpc-io-proxyless-bootstrap', mountPath: '/var/lib/grpc/data/' };
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    metadata: { annotations: { 'sidecar.istio.io/rewriteAppHTTPProbers': 'false' } },
    spec: {
      initContainers: [
        {
          name: 'grpc-bootstrap-init',
          image: 'busybox:1.28',
          volumeMounts: [bootstrapMount],
          env: [
            field('INSTANCE_IP', 'status.podIP'),
            field('POD_NAME', 'metadata.name'),
            field('POD_NAMESPACE', 'metadata.namespace'),
            // The line break is Istio's; the shell drops it where the variable is used.
            { name: 'ISTIO_NAMESPACE', value: `${context.values.istioNamespace}\n` },
          ],
          command: ['sh', '-c', bootstrapScript],
          resources: {},
        },
      ],
      containers: parts.appContainersOf(context).map((name) => ({
        name,
        env: [
          parts.variable('GRPC_XDS_BOOTSTRAP', '/var/lib/grpc/data/bootstrap.json'),
          parts.variable('GRPC_GO_LOG_VERBOSITY_LEVEL', '99'),
          parts.variable('GRPC_GO_LOG_SEVERITY_LEVEL', 'info'),
        ],
        volumeMounts: [bootstrapMount],
      })),
      volumes: [{ name: 'grpc-io-proxyless-bootstrap', emptyDir: {} }],
    },
  };
}

// A constant script; the pod's address and names reach it as variables of its environment.
const shell = (name: string) => `$\{${name}}`;
const bootstrapScript = [
  `NODE_ID="sidecar~${shell('INSTANCE_IP')}~${shell('POD_NAME')}.${shell('POD_NAMESPACE')}~cluster.local"`,
  `SERVER_URI="dns:///istiod.${shell('ISTIO_NAMESPACE')}.svc:15010"`,
  "echo '",
  '{',
  '  "xds_servers": [',
  '    {',
  `      "server_uri": "'${shell('SERVER_URI')}'",`,
  '      "channel_creds": [{"type": "insecure"}],',
  '      "server_features" : ["xds_v3"]',
  '    }',
  '  ],',
  '  "node": {',
  `    "id": "'${shell('NODE_ID')}'",`,
  '    "metadata": {',
  '      "GENERATOR": "grpc"',
  '    }',
  '  }',
  "}' > /var/lib/grpc/data/bootstrap.json",
].join('\n');
