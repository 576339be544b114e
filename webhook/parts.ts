// Parts that several kinds of injected pods share: environment, volumes, resources, probes, names.
import { compareText } from '../config/object.ts';
import type { TemplateContext } from './context.ts';
import { portText } from './field-order.ts';
import { isObject, type JsonObject, listOf, objectOf } from './json.ts';
import { type Container, type EnvVar, proxyName, type Volume, type VolumeMount } from './pod.ts';
import { proxyMetadataOf } from './proxy-config.ts';
import { canonicalResources } from './quantity.ts';

/** The annotation's value, or the fallback where the pod does not have it. An empty value counts. */
export function annotated(context: TemplateContext, name: string, fallback: string | number): string {
  return Object.hasOwn(context.annotations, name) ? (context.annotations[name] ?? '') : String(fallback);
}

/** Names of the pod's own containers. */
export function appContainersOf(context: TemplateContext): readonly string[] {
  return (context.pod.spec?.containers ?? []).map((c) => c.name).filter((name) => name !== proxyName);
}

/** The port of the agent's health and metrics endpoint, `0` to have none. */
export function statusPortOf(context: TemplateContext): string {
  return annotated(context, 'status.sidecar.istio.io/port', context.values.proxy.statusPort);
}

/** Canonical service labels, as Istio's telemetry groups by them. */
export function canonicalLabels(context: TemplateContext): JsonObject {
  const { labels, workload } = context;
  const first = (...names: readonly string[]) =>
    names.map((name) => labels[name]).find((v) => v !== undefined && v !== '');
  const name = first('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app') ?? workload.name;
  const revision = first('service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version') ?? 'latest';
  return {
    'service.istio.io/canonical-name': name.slice(0, 63).replace(/-$/, ''),
    'service.istio.io/canonical-revision': revision,
  };
}

/** The proxy's resources: the annotations replace the values as a whole. */
export function resourcesOf(context: TemplateContext): JsonObject {
  const part = (cpu: string, memory: string) => {
    const values = {
      ...(context.annotations[cpu] === undefined ? {} : { cpu: context.annotations[cpu] }),
      ...(context.annotations[memory] === undefined ? {} : { memory: context.annotations[memory] }),
    };
    return Object.keys(values).length === 0 ? undefined : values;
  };
  const requests = part('sidecar.istio.io/proxyCPU', 'sidecar.istio.io/proxyMemory');
  const limits = part('sidecar.istio.io/proxyCPULimit', 'sidecar.istio.io/proxyMemoryLimit');
  if (requests === undefined && limits === undefined) return context.values.proxy.resources;
  return canonicalResources({
    ...(requests === undefined ? {} : { requests }),
    ...(limits === undefined ? {} : { limits }),
  });
}

function fieldRef(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function limitRef(name: string, resource: string): EnvVar {
  return { name, valueFrom: { resourceFieldRef: { resource, divisor: '1' } } };
}

/** A variable; an empty value is left out, as Kubernetes stores it. */
export function variable(name: string, value: string): EnvVar {
  return value === '' ? { name } : { name, value };
}

/** The address of the certificate authority. */
export function caAddressOf(context: TemplateContext): string {
  const { caAddress, revision, istioNamespace } = context.values;
  if (caAddress !== '') return caAddress;
  return `istiod${revision === '' ? '' : `-${revision}`}.${istioNamespace}.svc:15012`;
}

/** The ports of the pod's containers as the JSON text that agents pass on in their metadata. */
function podPortsText(containers: readonly Container[]): string {
  const ports = containers.flatMap((c) => c.ports ?? []).map(portText);
  return ['[', ...ports.map((port, i) => `    ${i === 0 ? '' : ','}${port}`), ']'].join('\n');
}

/** The identity variables every agent needs. */
export function identityEnv(context: TemplateContext): readonly EnvVar[] {
  return [
    variable('PILOT_CERT_PROVIDER', context.values.pilotCertProvider),
    variable('CA_ADDR', caAddressOf(context)),
    fieldRef('POD_NAME', 'metadata.name'),
    fieldRef('POD_NAMESPACE', 'metadata.namespace'),
    fieldRef('INSTANCE_IP', 'status.podIP'),
    fieldRef('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    fieldRef('HOST_IP', 'status.hostIP'),
  ];
}

/** The configuration variables every agent needs; `limits` adds those that tell the proxy its resource limits. */
export function configEnv(context: TemplateContext, limits: boolean): readonly EnvVar[] {
  return [
    ...(limits ? [limitRef('ISTIO_CPU_LIMIT', 'limits.cpu')] : []),
    variable('PROXY_CONFIG', `${context.proxyConfigText}\n`),
    variable('ISTIO_META_POD_PORTS', podPortsText(context.pod.spec?.containers ?? [])),
    variable('ISTIO_META_APP_CONTAINERS', appContainersOf(context).join(',')),
    ...(limits ? [limitRef('GOMEMLIMIT', 'limits.memory')] : []),
    ...complianceEnv(context.settings.compliancePolicy),
    variable('ISTIO_META_CLUSTER_ID', clusterIdOf(context)),
    fieldRef('ISTIO_META_NODE_NAME', 'spec.nodeName'),
  ];
}

function complianceEnv(policy: string): readonly EnvVar[] {
  if (policy === '') return [];
  // Under FIPS 140-3 the agent, a Go program, must use its certified module only.
  const go = policy === 'fips-140-3' ? [variable('GODEBUG', 'fips140=only')] : [];
  return [variable('COMPLIANCE_POLICY', policy), ...go];
}

/** The cluster's identifier, `Kubernetes` where none is configured. */
export function clusterIdOf(context: Pick<TemplateContext, 'values'>): string {
  return context.values.clusterName === '' ? 'Kubernetes' : context.values.clusterName;
}

/** Variables that name the workload, mesh and trust domain, and those of ProxyConfig. */
export function workloadEnv(context: TemplateContext): readonly EnvVar[] {
  const { values, mesh, workload, labels } = context;
  const name = labels['service.istio.io/workload-name'] || workload.name;
  const trustDomain = mesh.trustDomain === '' ? values.trustDomain : mesh.trustDomain;
  const meshId = values.meshId === '' ? trustDomain : values.meshId;
  return [
    ...(values.network === '' ? [] : [variable('ISTIO_META_NETWORK', values.network)]),
    ...(name === '' ? [] : [variable('ISTIO_META_WORKLOAD_NAME', name)]),
    ...ownerEnv(context),
    ...(Object.hasOwn(context.annotations, 'sidecar.istio.io/bootstrapOverride')
      ? [variable('ISTIO_BOOTSTRAP_OVERRIDE', '/etc/istio/custom-bootstrap/custom_bootstrap.json')]
      : []),
    ...(meshId === '' ? [] : [variable('ISTIO_META_MESH_ID', meshId)]),
    ...(trustDomain === '' ? [] : [variable('TRUST_DOMAIN', trustDomain)]),
    ...datadogEnv(context),
    ...metadataEnv(context),
  ];
}

function ownerEnv({ workload }: TemplateContext): readonly EnvVar[] {
  if (workload.name === '' || workload.apiVersion === '') return [];
  const namespace = workload.namespace === '' ? 'default' : workload.namespace;
  const path = `apis/${workload.apiVersion}/namespaces/${namespace}/${workload.kind.toLowerCase()}s/${workload.name}`;
  return [variable('ISTIO_META_OWNER', `kubernetes://${path}`)];
}

function datadogEnv(context: TemplateContext): readonly EnvVar[] {
  const text = context.annotations['apm.datadoghq.com/env'];
  if (context.values.proxy.tracer !== 'datadog' || text === undefined) return [];
  return Object.entries(objectOf(parseJson(text))).map(([name, value]) => variable(name, String(value)));
}

/** ProxyConfig's `proxyMetadata` as environment. */
export function metadataEnv(context: TemplateContext): readonly EnvVar[] {
  return proxyMetadataOf(context.proxyConfig).map(([name, value]) => variable(name, value));
}

/** How the kubelet asks a proxy whether it is ready. */
export function readinessProbe(context: TemplateContext, port: number): JsonObject {
  const { proxy } = context.values;
  const number = (name: string, fallback: number) =>
    Number(annotated(context, `readiness.status.sidecar.istio.io/${name}`, fallback));
  const delay = number('initialDelaySeconds', proxy.readinessInitialDelaySeconds);
  return {
    httpGet: { path: '/healthz/ready', port },
    ...(delay === 0 ? {} : { initialDelaySeconds: delay }),
    periodSeconds: number('periodSeconds', proxy.readinessPeriodSeconds),
    timeoutSeconds: 3,
    failureThreshold: number('failureThreshold', proxy.readinessFailureThreshold),
  };
}

/** Arguments of the agent, by its role (`sidecar`, `router`, `waypoint`). */
export function agentArgs(context: TemplateContext, role: string): readonly string[] {
  const { values } = context;
  return [
    'proxy',
    role,
    '--domain',
    `$(POD_NAMESPACE).svc.${values.proxy.clusterDomain}`,
    `--proxyLogLevel=${annotated(context, 'sidecar.istio.io/logLevel', values.proxy.logLevel)}`,
    `--proxyComponentLogLevel=${annotated(context, 'sidecar.istio.io/componentLogLevel', values.proxy.componentLogLevel)}`,
    `--log_output_level=${annotated(context, 'sidecar.istio.io/agentLogLevel', values.logLevel)}`,
    ...(values.stsPort === 0 ? [] : [`--stsPort=${values.stsPort}`]),
    ...(values.logAsJson ? ['--log_as_json'] : []),
    ...(values.proxy.outlierLogPath === '' ? [] : [`--outlierLogPath=${values.proxy.outlierLogPath}`]),
  ];
}

/** `imagePullPolicy`, where the values set one. */
export function pullPolicyOf(context: TemplateContext): JsonObject {
  return context.values.imagePullPolicy === '' ? {} : { imagePullPolicy: context.values.imagePullPolicy };
}

/** `imagePullSecrets` of the values. */
export function pullSecretsOf(context: TemplateContext): JsonObject {
  const names = context.values.imagePullSecrets;
  return names.length === 0 ? {} : { imagePullSecrets: names.map((name) => ({ name })) };
}

const podInfo: Volume = {
  name: 'istio-podinfo',
  downwardAPI: {
    items: [
      { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
      { path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } },
    ],
  },
};

/** The downward API, the token and the root certificate: what every agent mounts. */
export function identityVolumes(context: TemplateContext): readonly Volume[] {
  return [podInfo, tokenVolume(context), ...rootVolumes(context)];
}

/** The bound service-account token for the control plane. */
export function tokenVolume(context: TemplateContext): Volume {
  const token = { path: 'istio-token', expirationSeconds: 43_200, audience: context.values.tokenAudience };
  return { name: 'istio-token', projected: { sources: [{ serviceAccountToken: token }] } };
}

/** The mesh's root certificate, where the control plane distributes it. */
export function rootVolumes(context: TemplateContext): readonly Volume[] {
  const source = rootSource(context);
  if (source === undefined) return [];
  return [{ name: 'istiod-ca-cert', ...('configMap' in source ? source : { projected: { sources: [source] } }) }];
}

/** Where that is, as a source of a projected volume; undefined where the control plane does not distribute it. */
export function rootSource({ values }: TemplateContext): JsonObject | undefined {
  if (values.pilotCertProvider !== 'istiod') return undefined;
  if (!values.clusterTrustBundle) return { configMap: { name: 'istio-ca-root-cert' } };
  return { clusterTrustBundle: { name: 'istio.io:istiod-ca:root-cert', path: 'root-cert.pem' } };
}

/** Volumes or mounts of an annotation: a map by name, or a list of objects with names. */
export function namedItems(text: string | undefined): readonly { readonly name: string }[] {
  if (text === undefined) return [];
  const parsed = parseJson(text);
  if (Array.isArray(parsed))
    return listOf(parsed)
      .filter(isObject)
      .map((item, i) => ({ name: String(i), ...item }));
  return Object.entries(objectOf(parsed))
    .filter((entry): entry is [string, JsonObject] => isObject(entry[1]))
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, item]) => ({ name, ...item }));
}

/** A mount with its field names in Kubernetes' spelling, which JSON in annotations is not held to. */
export function volumeMountOf(item: JsonObject): VolumeMount {
  const known = ['name', 'readOnly', 'mountPath', 'subPath', 'mountPropagation', 'subPathExpr', 'recursiveReadOnly'];
  const result = Object.fromEntries(
    Object.entries(item).flatMap(([key, value]) => {
      const field = known.find((name) => name.toLowerCase() === key.toLowerCase());
      return field === undefined ? [] : [[field, value]];
    }),
  );
  return result as unknown as VolumeMount;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
