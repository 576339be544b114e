// A pod whose proxy is a plain upstream Envoy: no agent, its bootstrap is an argument of its container.
import { basename } from 'node:path';
import { type BootstrapOptions, buildBootstrap } from '../config/bootstrap.ts';
import { rootsSecret, rootsSecretFile } from '../config/bootstrap-discovery.ts';
import type { ApplicationProbe } from '../config/bootstrap-probes.ts';
import type { Overlay, TemplateContext } from './context.ts';
import { redirectionContainer } from './iptables.ts';
import { type JsonObject, objectOf } from './json.ts';
import * as parts from './parts.ts';
import { type Container, type EnvVar, proxyName, type Volume } from './pod.ts';
import { probersOf } from './probes.ts';
import { proxyMetadataOf, textField } from './proxy-config.ts';
import { sidecarAnnotations, sidecarLabels } from './sidecar.ts';

/** The role of a proxy in the mesh. */
export type ProxyRole = 'sidecar' | 'router' | 'waypoint';

/**
 * What the plain Envoy adds to a pod. The kubelet expands `$(NAME)` in arguments, so the address and names that only
 * exist once the pod is placed reach the bootstrap without a program in between. The token and root certificate are
 * the same files an agent would use.
 */
export function agentlessOverlay(context: TemplateContext, role: ProxyRole): Overlay {
  const sidecar = role === 'sidecar';
  const proxy = envoyContainer(context, role);
  const redirection = sidecar && context.interceptionMode !== 'NONE' ? [redirectionContainer(context)] : [];
  const native = sidecar && context.native;
  const unprivileged = { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] };
  return {
    metadata: {
      labels: sidecar ? sidecarLabels(context) : parts.canonicalLabels(context),
      annotations: {
        ...sidecarAnnotations(context),
        ...rootsAnnotation(context),
        ...(context.mesh.enablePrometheusMerge ? scrapeAnnotations(context) : {}),
      },
    },
    spec: {
      ...(sidecar ? {} : { securityContext: unprivileged }),
      ...(native || redirection.length > 0 ? { initContainers: native ? [...redirection, proxy] : redirection } : {}),
      ...(native ? {} : { containers: [proxy] }),
      volumes: [parts.tokenVolume(context), ...rootVolumes(context)],
      ...parts.pullSecretsOf(context),
    },
  };
}

const caFile = '/var/run/secrets/istio/root-cert.pem';
const rootsAnnotationName = 'meltemi.io/roots';

// There is no agent to write the Secret by which Envoy follows the roots: the kubelet makes a file of an annotation.
function rootsAnnotation(context: TemplateContext): Record<string, string> {
  return parts.rootSource(context) === undefined ? {} : { [rootsAnnotationName]: JSON.stringify(rootsSecret(caFile)) };
}

function rootVolumes(context: TemplateContext): readonly Volume[] {
  const roots = parts.rootSource(context);
  if (roots === undefined) return [];
  const fieldRef = { fieldPath: `metadata.annotations['${rootsAnnotationName}']` };
  const secret = { path: basename(rootsSecretFile(caFile)), fieldRef };
  return [{ name: 'istiod-ca-cert', projected: { sources: [roots, { downwardAPI: { items: [secret] } }] } }];
}

// Without an agent nothing merges the application's metrics; where it has its own endpoint, that stays in force.
function scrapeAnnotations(context: TemplateContext): Record<string, string> {
  if (context.annotations['prometheus.io/port'] !== undefined) return {};
  return { 'prometheus.io/port': '15090', 'prometheus.io/path': '/stats/prometheus', 'prometheus.io/scrape': 'true' };
}

function envoyContainer(context: TemplateContext, role: ProxyRole): Container {
  const { values } = context;
  const custom = context.annotations['sidecar.istio.io/proxyImage'];
  const probe = { httpGet: { path: '/healthz/ready', port: 15021 }, timeoutSeconds: 3 };
  return {
    name: proxyName,
    image: custom ?? values.agentless.image,
    ...(role === 'sidecar' && context.native ? { restartPolicy: 'Always' } : {}),
    command: ['envoy'],
    args: envoyArgs(context, role),
    ports: [{ containerPort: 15090, protocol: 'TCP', name: 'http-envoy-prom' }],
    env: identityEnv(),
    ...parts.pullPolicyOf(context),
    startupProbe: { ...probe, periodSeconds: 1, failureThreshold: values.proxy.startupProbe.failureThreshold },
    readinessProbe: parts.readinessProbe(context, 15021),
    resources: parts.resourcesOf(context),
    securityContext: {
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { ...(context.interceptionMode === 'TPROXY' ? { add: ['NET_ADMIN'] } : {}), drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: context.interceptionMode !== 'TPROXY',
      runAsUser: context.interceptionMode === 'TPROXY' ? 0 : context.uid,
      runAsGroup: context.gid,
    },
    volumeMounts: [
      { name: 'istio-token', mountPath: '/var/run/secrets/tokens', readOnly: true },
      ...(values.pilotCertProvider === 'istiod'
        ? [{ name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio', readOnly: true }]
        : []),
    ],
  };
}

function identityEnv(): readonly EnvVar[] {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return [
    field('POD_NAME', 'metadata.name'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    field('INSTANCE_IP', 'status.podIP'),
    field('INSTANCE_IPS', 'status.podIPs'),
    field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    field('NODE_NAME', 'spec.nodeName'),
    { name: 'CPU_LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1' } } },
  ];
}

function envoyArgs(context: TemplateContext, role: ProxyRole): readonly string[] {
  const { proxyConfig, values } = context;
  const concurrency = proxyConfig['concurrency'];
  return [
    '--config-yaml',
    expandable(JSON.stringify(bootstrapOf(context, role))),
    '--concurrency',
    typeof concurrency === 'number' ? String(concurrency) : '$(CPU_LIMIT)',
    '--log-level',
    literal(parts.annotated(context, 'sidecar.istio.io/logLevel', values.proxy.logLevel)),
    '--drain-time-s',
    String(Math.round(Number.parseFloat(textField(proxyConfig, 'drainDuration') || '45'))),
    '--disable-hot-restart',
  ];
}

// Placeholders stand where the kubelet's variables belong while every other `$(` of the text is escaped.
const mark = '\u0001';
const late = (name: string) => `${mark}${name}${mark}`;

function expandable(text: string): string {
  return literal(text).replaceAll(/\\u0001([A-Z_]+)\\u0001/g, '$($1)');
}

/** Text that the kubelet leaves as it is. */
function literal(text: string): string {
  return text.replaceAll('$(', '$$$$(');
}

function bootstrapOf(context: TemplateContext, role: ProxyRole): object {
  const { values, workload, mesh } = context;
  const meshId = values.meshId || mesh.trustDomain;
  const added = role === 'sidecar' ? sidecarLabels(context) : parts.canonicalLabels(context);
  return buildBootstrap({
    nodeType: role,
    address: late('INSTANCE_IP'),
    podName: late('POD_NAME'),
    namespace: late('POD_NAMESPACE'),
    serviceAccount: late('SERVICE_ACCOUNT'),
    nodeName: late('NODE_NAME'),
    labels: { ...context.labels, ...(added as Record<string, string>) },
    clusterId: parts.clusterIdOf(context),
    clusterDomain: values.proxy.clusterDomain,
    ...(values.network === '' ? {} : { network: values.network }),
    ...(meshId === '' ? {} : { meshId }),
    ...(workload.name === '' ? {} : { workloadName: workload.name }),
    ...(role === 'sidecar' ? { interceptionMode: context.interceptionMode as 'REDIRECT' | 'TPROXY' | 'NONE' } : {}),
    proxyConfig: JSON.parse(context.proxyConfigText),
    metadata: { INSTANCE_IPS: late('INSTANCE_IPS') },
    discovery: {
      address: discoveryAddressOf(context),
      tls: { caFile, tokenFile: '/var/run/secrets/tokens/istio-token' },
    },
    admin: { address: '127.0.0.1', port: 15000 },
    health: { address: anyAddressOf(context), port: 15021 },
    prometheus: { address: anyAddressOf(context), port: 15090 },
    ...probesOf(context),
  });
}

// The pod's address families are not known yet; a mesh says in ProxyConfig that it has both.
function anyAddressOf({ proxyConfig }: TemplateContext): string {
  const isDual = proxyMetadataOf(proxyConfig).some(([key, value]) => key === 'ISTIO_DUAL_STACK' && value === 'true');
  return isDual ? '::' : '0.0.0.0';
}

/** The port where the proxy answers the kubelet for the application; 0 for none. */
export function probePortOf(context: TemplateContext): number {
  const port = Number(parts.statusPortOf(context));
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0;
}

function probesOf(context: TemplateContext): Pick<BootstrapOptions, 'probes'> {
  const port = probePortOf(context);
  const calls = Object.entries(probersOf(context.pod, port)).flatMap(([path, prober]) => probeOf(path, prober));
  if (port === 0 || calls.length === 0) return {};
  return { probes: { bind: { address: anyAddressOf(context), port }, calls } };
}

function probeOf(path: string, prober: JsonObject): readonly ApplicationProbe[] {
  const { httpGet, tcpSocket, grpc, timeoutSeconds } = prober;
  const action = objectOf(httpGet ?? tcpSocket ?? grpc);
  const port = action['port'];
  if (typeof port !== 'number' || port < 1 || port > 65_535) return [];
  const at = { path, port, timeoutSeconds: typeof timeoutSeconds === 'number' ? timeoutSeconds : 1 };
  if (httpGet !== undefined) {
    const target = typeof action['path'] === 'string' && action['path'].startsWith('/') ? action['path'] : '/';
    return [{ ...at, call: { kind: 'http', path: target, tls: action['scheme'] === 'HTTPS' } }];
  }
  if (tcpSocket !== undefined) return [{ ...at, call: { kind: 'tcp' } }];
  const service = action['service'];
  return [{ ...at, call: { kind: 'grpc', service: typeof service === 'string' ? service : '' } }];
}

function discoveryAddressOf(context: TemplateContext): string {
  return context.annotations['sidecar.istio.io/discoveryAddress'] || textField(context.proxyConfig, 'discoveryAddress');
}
