// The pod of a workload with a sidecar: istio-proxy beside the application, and packet redirection.
import type { Overlay, TemplateContext } from './context.ts';
import { redirectionContainer, redirectionOf } from './iptables.ts';
import { isObject, type JsonObject } from './json.ts';
import { appendNetwork } from './networks.ts';
import * as parts from './parts.ts';
import { type Container, type EnvVar, proxyName, type Volume, type VolumeMount } from './pod.ts';
import { proxyMetadataOf } from './proxy-config.ts';

/** What a sidecar adds to a pod. */
export function sidecarOverlay(context: TemplateContext): Overlay {
  const proxy = proxyContainer(context);
  const redirection = context.interceptionMode === 'NONE' ? [] : [redirectionContainer(context)];
  const initContainers = context.native ? [...redirection, proxy] : redirection;
  return {
    metadata: { labels: sidecarLabels(context), annotations: sidecarAnnotations(context) },
    spec: {
      ...(initContainers.length === 0 ? {} : { initContainers }),
      ...(context.native ? {} : { containers: [proxy] }),
      volumes: sidecarVolumes(context),
      ...parts.pullSecretsOf(context),
    },
  };
}

/** Labels of a pod with a sidecar. */
export function sidecarLabels(context: TemplateContext): JsonObject {
  const { labels } = context;
  const hbone = proxyMetadataOf(context.proxyConfig).some(([k, v]) => k === 'ISTIO_META_ENABLE_HBONE' && v === 'true');
  return {
    'security.istio.io/tlsMode': labels['security.istio.io/tlsMode'] || 'istio',
    ...(hbone ? { 'networking.istio.io/tunnel': labels['networking.istio.io/tunnel'] || 'http' } : {}),
    ...parts.canonicalLabels(context),
  };
}

/** Annotations of a pod with a sidecar; with the CNI plugin they carry the settings of redirection. */
export function sidecarAnnotations(context: TemplateContext): JsonObject {
  const first = parts.appContainersOf(context)[0];
  const unset = (name: string) => !Object.hasOwn(context.annotations, name);
  const defaults = ['kubectl.kubernetes.io/default-logs-container', 'kubectl.kubernetes.io/default-container'];
  return {
    'istio.io/rev': context.settings.revision === '' ? 'default' : context.settings.revision,
    ...(first === undefined ? {} : Object.fromEntries(defaults.filter(unset).map((name) => [name, first]))),
    ...(context.values.cni.enabled ? cniAnnotations(context) : {}),
  };
}

function cniAnnotations(context: TemplateContext): JsonObject {
  const settings = redirectionOf(context);
  const networks = 'k8s.v1.cni.cncf.io/networks';
  const present: readonly (readonly [string, string | undefined])[] = [
    ['includeOutboundIPRanges', settings.includeOutboundRanges || undefined],
    ['excludeOutboundIPRanges', settings.excludeOutboundRanges || undefined],
    ['includeInboundPorts', settings.includeInboundPorts || undefined],
    ['excludeInboundPorts', settings.excludeInboundPorts],
    ['includeOutboundPorts', settings.includeOutboundPorts],
    ['excludeOutboundPorts', settings.excludeOutboundPorts],
  ];
  return {
    ...(context.values.cni.multus
      ? { [networks]: appendNetwork(context.annotations[networks], 'default/istio-cni') }
      : {}),
    'sidecar.istio.io/interceptionMode': context.interceptionMode,
    ...Object.fromEntries(
      present.flatMap(([name, value]) => (value === undefined ? [] : [[`traffic.sidecar.istio.io/${name}`, value]])),
    ),
  };
}

function proxyContainer(context: TemplateContext): Container {
  const { values } = context;
  const custom = parts.annotated(context, 'sidecar.istio.io/proxyImage', values.proxy.image);
  const lifecycle = lifecycleOf(context);
  return {
    name: proxyName,
    image: custom.includes('/') ? custom : context.image,
    ...(context.native ? { restartPolicy: 'Always' } : {}),
    ports: [{ containerPort: 15090, protocol: 'TCP', name: 'http-envoy-prom' }],
    args: parts.agentArgs(context, 'sidecar'),
    ...(lifecycle === undefined ? {} : { lifecycle }),
    env: environmentOf(context),
    ...parts.pullPolicyOf(context),
    ...probesOf(context),
    securityContext: proxySecurityContext(context),
    resources: parts.resourcesOf(context),
    volumeMounts: mountsOf(context),
  };
}

/** The proxy's environment. */
export function environmentOf(context: TemplateContext): readonly EnvVar[] {
  return [
    ...(context.mesh.inboundLocalhost ? [parts.variable('REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION', 'true')] : []),
    ...parts.identityEnv(context),
    ...parts.configEnv(context, true),
    parts.variable('ISTIO_META_INTERCEPTION_MODE', context.interceptionMode),
    ...parts.workloadEnv(context),
  ];
}

/** Whether the application is to wait for the proxy. */
export function holdsApplication(context: TemplateContext): boolean {
  return (
    context.proxyConfig['holdApplicationUntilProxyStarts'] === true ||
    context.values.proxy.holdApplicationUntilProxyStarts
  );
}

function lifecycleOf(context: TemplateContext): JsonObject | undefined {
  if (context.values.proxy.lifecycle !== undefined) return context.values.proxy.lifecycle;
  // A native sidecar is started before the application in any case.
  if (holdsApplication(context) && !context.native)
    return { postStart: { exec: { command: ['pilot-agent', 'wait'] } } };
  if (!context.native) return undefined;
  // A native sidecar outlives the application; it drains as soon as the pod is told to stop.
  const port = `--debug-port=${parts.statusPortOf(context)}`;
  return { preStop: { exec: { command: ['pilot-agent', 'request', port, 'POST', 'drain'] } } };
}

function probesOf(context: TemplateContext): JsonObject {
  if (parts.statusPortOf(context) === '0') return {};
  const { startupProbe } = context.values.proxy;
  return {
    ...(startupProbe.enabled
      ? {
          startupProbe: {
            httpGet: { path: '/healthz/ready', port: 15021 },
            periodSeconds: 1,
            timeoutSeconds: 3,
            failureThreshold: startupProbe.failureThreshold,
          },
        }
      : {}),
    readinessProbe: parts.readinessProbe(context, 15021),
  };
}

/** The least rights the proxy can run with: TPROXY and low ports need a root user with single capabilities. */
export function proxySecurityContext(context: TemplateContext): JsonObject {
  const { values, uid, gid } = context;
  const { privileged, seccompProfile, capNetBindService } = values.proxy;
  const seccomp = Object.keys(seccompProfile).length === 0 ? {} : { seccompProfile };
  const tracing = proxyMetadataOf(context.proxyConfig).some(([k, v]) => k === 'IPTABLES_TRACE_LOGGING' && v === 'true');
  const tproxy = context.interceptionMode === 'TPROXY';
  const bind = parts.annotated(context, 'sidecar.istio.io/capNetBindService', capNetBindService) === 'true';
  const add = [...(tproxy || tracing ? ['NET_ADMIN'] : []), ...(bind ? ['NET_BIND_SERVICE'] : [])];
  const root = tproxy || bind || tracing;
  return {
    allowPrivilegeEscalation: tracing || privileged,
    capabilities: { ...(add.length === 0 ? {} : { add }), drop: ['ALL'] },
    privileged: tracing || privileged,
    readOnlyRootFilesystem: true,
    runAsNonRoot: !root,
    runAsUser: root ? 0 : uid,
    runAsGroup: root && !tracing ? 1337 : gid,
    ...seccomp,
  };
}

function mountsOf(context: TemplateContext): readonly VolumeMount[] {
  const { values, annotations } = context;
  const mount = (name: string, mountPath: string): VolumeMount => ({ name, mountPath });
  const readOnly = (name: string, mountPath: string): VolumeMount => ({ name, mountPath, readOnly: true });
  return [
    mount('workload-socket', '/var/run/secrets/workload-spiffe-uds'),
    mount('credential-socket', '/var/run/secrets/credential-uds'),
    gkeCertificates(context)
      ? readOnly('gke-workload-certificate', '/var/run/secrets/workload-spiffe-credentials')
      : mount('workload-certs', '/var/run/secrets/workload-spiffe-credentials'),
    ...(values.pilotCertProvider === 'istiod'
      ? [mount('istiod-ca-cert', '/var/run/secrets/istio'), mount('istio-ca-crl', '/var/run/secrets/istio/crl')]
      : []),
    mount('istio-data', '/var/lib/istio/data'),
    ...(Object.hasOwn(annotations, 'sidecar.istio.io/bootstrapOverride')
      ? [mount('custom-bootstrap-volume', '/etc/istio/custom-bootstrap')]
      : []),
    mount('istio-envoy', '/etc/istio/proxy'),
    mount('istio-token', '/var/run/secrets/tokens'),
    ...(values.mountMtlsCerts ? [readOnly('istio-certs', '/etc/certs/')] : []),
    mount('istio-podinfo', '/etc/istio/pod'),
    ...parts
      .namedItems(annotations['sidecar.istio.io/userVolumeMount'])
      .map((item) => parts.volumeMountOf({ ...item })),
  ];
}

function gkeCertificates(context: TemplateContext): boolean {
  return context.values.caName === 'GkeWorkloadCertificate';
}

function sidecarVolumes(context: TemplateContext): readonly Volume[] {
  const { values, annotations } = context;
  const bootstrap = annotations['sidecar.istio.io/bootstrapOverride'];
  const account = context.pod.spec?.serviceAccountName;
  const certificates = {
    optional: true,
    secretName: `istio.${account === undefined || account === '' ? 'default' : account}`,
  };
  return [
    // Without a source a volume is an emptyDir; Istio's own output has these three without one.
    { name: 'workload-socket' },
    { name: 'credential-socket' },
    gkeCertificates(context)
      ? { name: 'gke-workload-certificate', csi: { driver: 'workloadcertificates.security.cloud.google.com' } }
      : { name: 'workload-certs' },
    ...(bootstrap === undefined ? [] : [{ name: 'custom-bootstrap-volume', configMap: { name: bootstrap } }]),
    { name: 'istio-envoy', emptyDir: { medium: 'Memory' } },
    { name: 'istio-data', emptyDir: {} },
    ...parts.identityVolumes(context),
    ...(values.pilotCertProvider === 'istiod'
      ? [{ name: 'istio-ca-crl', configMap: { name: 'istio-ca-crl', optional: true } }]
      : []),
    ...(values.mountMtlsCerts ? [{ name: 'istio-certs', secret: certificates }] : []),
    ...parts
      .namedItems(annotations['sidecar.istio.io/userVolume'])
      .filter(isObject)
      .map((item) => ({ ...item, name: String(item['name']) })),
  ];
}
