// The pod of a gateway or waypoint: istio-proxy alone, without redirection.
import type { Overlay, TemplateContext } from './context.ts';
import type { JsonObject } from './json.ts';
import * as parts from './parts.ts';
import { type Container, proxyName, type Volume, type VolumeMount } from './pod.ts';

/** What an injected gateway adds to its pod (`inject.istio.io/templates: gateway`). */
export function gatewayOverlay(context: TemplateContext): Overlay {
  return {
    metadata: { labels: parts.canonicalLabels(context), annotations: gatewayAnnotations(context) },
    spec: {
      securityContext: podSecurityContext(context),
      containers: [gatewayContainer(context, 'router')],
      volumes: gatewayVolumes(context),
      ...parts.pullSecretsOf(context),
    },
  };
}

/** The same as a waypoint: an HBONE proxy for services and workloads. */
export function waypointOverlay(context: TemplateContext): Overlay {
  const { resources } = context.values.waypoint;
  const proxy = gatewayContainer(context, 'waypoint');
  return {
    metadata: { labels: parts.canonicalLabels(context), annotations: gatewayAnnotations(context) },
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          ...proxy,
          ...(Object.keys(resources).length === 0 ? {} : { resources }),
          env: [...(proxy.env ?? []), parts.variable('ISTIO_META_ENABLE_HBONE', 'true')],
          securityContext: {
            privileged: false,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            runAsUser: context.uid,
            runAsGroup: context.gid,
          },
        },
      ],
      volumes: gatewayVolumes(context),
      ...parts.pullSecretsOf(context),
    },
  };
}

function gatewayAnnotations(context: TemplateContext): JsonObject {
  const first = parts.appContainersOf(context)[0];
  const unset = (name: string) => !Object.hasOwn(context.annotations, name);
  const defaults = ['kubectl.kubernetes.io/default-logs-container', 'kubectl.kubernetes.io/default-container'];
  return {
    'istio.io/rev': context.settings.revision === '' ? 'default' : context.settings.revision,
    ...(first === undefined ? {} : Object.fromEntries(defaults.filter(unset).map((name) => [name, first]))),
  };
}

function podSecurityContext(context: TemplateContext): JsonObject {
  const { securityContext, seccompProfile } = context.values.gateways;
  const chosen =
    Object.keys(securityContext).length > 0
      ? securityContext
      : { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] };
  return { ...chosen, ...(Object.keys(seccompProfile).length === 0 ? {} : { seccompProfile }) };
}

function gatewayContainer(context: TemplateContext, role: 'router' | 'waypoint'): Container {
  const custom = parts.annotated(context, 'sidecar.istio.io/proxyImage', context.values.proxy.image);
  const { lifecycle } = context.values.proxy;
  return {
    name: proxyName,
    image: custom.includes('/') ? custom : context.image,
    ports: [{ containerPort: 15090, protocol: 'TCP', name: 'http-envoy-prom' }],
    args: parts.agentArgs(context, role),
    ...(lifecycle === undefined ? {} : { lifecycle }),
    securityContext: { runAsUser: context.uid, runAsGroup: context.gid },
    env: [
      ...parts.identityEnv(context),
      ...parts.configEnv(context, true),
      parts.variable('ISTIO_META_INTERCEPTION_MODE', context.interceptionMode),
      ...parts.workloadEnv(context),
    ],
    ...parts.pullPolicyOf(context),
    readinessProbe: parts.readinessProbe(context, 15021),
    resources: {},
    volumeMounts: mountsOf(context),
  };
}

function mountsOf(context: TemplateContext): readonly VolumeMount[] {
  const { values } = context;
  const gke = values.caName === 'GkeWorkloadCertificate';
  return [
    { name: 'workload-socket', mountPath: '/var/run/secrets/workload-spiffe-uds' },
    { name: 'credential-socket', mountPath: '/var/run/secrets/credential-uds' },
    {
      name: gke ? 'gke-workload-certificate' : 'workload-certs',
      mountPath: '/var/run/secrets/workload-spiffe-credentials',
      ...(gke ? { readOnly: true } : {}),
    },
    ...(values.pilotCertProvider === 'istiod' ? [{ name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio' }] : []),
    { name: 'istio-data', mountPath: '/var/lib/istio/data' },
    { name: 'istio-envoy', mountPath: '/etc/istio/proxy' },
    { name: 'istio-token', mountPath: '/var/run/secrets/tokens' },
    ...(values.mountMtlsCerts ? [{ name: 'istio-certs', mountPath: '/etc/certs/', readOnly: true }] : []),
    { name: 'istio-podinfo', mountPath: '/etc/istio/pod' },
  ];
}

function gatewayVolumes(context: TemplateContext): readonly Volume[] {
  const { values } = context;
  const account = context.pod.spec?.serviceAccountName;
  const gke = values.caName === 'GkeWorkloadCertificate';
  return [
    { name: 'workload-socket' },
    { name: 'credential-socket', emptyDir: {} },
    gke
      ? { name: 'gke-workload-certificate', csi: { driver: 'workloadcertificates.security.cloud.google.com' } }
      : { name: 'workload-certs', emptyDir: {} },
    { name: 'istio-envoy', emptyDir: { medium: 'Memory' } },
    { name: 'istio-data', emptyDir: {} },
    ...parts.identityVolumes(context),
    ...(values.mountMtlsCerts
      ? [{ name: 'istio-certs', secret: { optional: true, secretName: `istio.${account || 'default'}` } }]
      : []),
  ];
}
