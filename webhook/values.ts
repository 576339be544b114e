// The injector's values (Helm values of Istio's chart, as ConfigMap istio-sidecar-injector holds them), with defaults.
import { isObject, type JsonObject, listOf, memberAt, objectOf } from './json.ts';
import { canonicalResources } from './quantity.ts';

/** The values that decide what an injected pod looks like. Names follow the chart's paths. */
export interface InjectorValues {
  readonly hub: string;
  readonly tag: string;
  /** Image variant, `distroless` or `debug`; empty for the plain image. */
  readonly variant: string;
  readonly imagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  readonly istioNamespace: string;
  readonly revision: string;
  readonly caAddress: string;
  readonly caName: string;
  readonly pilotCertProvider: string;
  readonly clusterTrustBundle: boolean;
  readonly clusterName: string;
  readonly meshId: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly logAsJson: boolean;
  readonly logLevel: string;
  readonly mountMtlsCerts: boolean;
  readonly nativeNftables: boolean;
  readonly stsPort: number;
  readonly tokenAudience: string;
  readonly cni: { readonly enabled: boolean; readonly multus: boolean };
  readonly proxy: ProxyValues;
  readonly init: { readonly image: string; readonly forceApplyIptables: boolean };
  readonly gateways: { readonly securityContext: JsonObject; readonly seccompProfile: JsonObject };
  readonly waypoint: { readonly resources: JsonObject };
  readonly rewriteAppHttpProbe: boolean;
  /** Addresses of tracing back ends by the tracer's name (`global.tracer`). */
  readonly tracers: JsonObject;
  readonly agentless: AgentlessValues;
}

export interface ProxyValues {
  readonly image: string;
  readonly clusterDomain: string;
  readonly logLevel: string;
  readonly componentLogLevel: string;
  readonly outlierLogPath: string;
  readonly privileged: boolean;
  readonly capNetBindService: string;
  readonly statusPort: string;
  readonly includeIpRanges: string;
  readonly excludeIpRanges: string;
  readonly includeInboundPorts: string;
  readonly excludeInboundPorts: string;
  readonly includeOutboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly readinessInitialDelaySeconds: number;
  readonly readinessPeriodSeconds: number;
  readonly readinessFailureThreshold: number;
  readonly startupProbe: { readonly enabled: boolean; readonly failureThreshold: number };
  /** Quantities are in canonical form. */
  readonly resources: JsonObject;
  readonly lifecycle: JsonObject | undefined;
  readonly seccompProfile: JsonObject;
  readonly holdApplicationUntilProxyStarts: boolean;
  readonly tracer: string;
}

/** Meltemi's own values, `global.agentless`: proxies that are a plain upstream Envoy. */
export interface AgentlessValues {
  /** Whether pods get the plain Envoy unless their annotation says otherwise. */
  readonly enabled: boolean;
  readonly image: string;
}

/**
 * Reads values; members that are absent or of a wrong type take the chart's defaults, so that a cut-down ConfigMap
 * (or none at all) still gives working pods.
 */
export function valuesOf(raw: unknown): InjectorValues {
  const global = (...path: readonly string[]) => memberAt(raw, 'global', ...path);
  return {
    hub: scalarOf(global('hub'), 'registry.istio.io/release'),
    tag: scalarOf(global('tag'), 'latest'),
    variant: textOf(global('variant'), ''),
    imagePullPolicy: textOf(global('imagePullPolicy'), ''),
    imagePullSecrets: listOf(global('imagePullSecrets')).filter((name) => typeof name === 'string'),
    istioNamespace: textOf(global('istioNamespace'), 'istio-system'),
    revision: textOf(memberAt(raw, 'revision'), ''),
    caAddress: textOf(global('caAddress'), ''),
    caName: textOf(global('caName'), ''),
    pilotCertProvider: textOf(global('pilotCertProvider'), 'istiod'),
    clusterTrustBundle: flagOf(memberAt(raw, 'pilot', 'env', 'ENABLE_CLUSTER_TRUST_BUNDLE_API'), false),
    clusterName: textOf(global('multiCluster', 'clusterName'), ''),
    meshId: textOf(global('meshID'), ''),
    network: textOf(global('network'), ''),
    trustDomain: textOf(global('trustDomain'), ''),
    logAsJson: flagOf(global('logAsJson'), false),
    logLevel: textOf(global('logging', 'level'), 'default:info'),
    mountMtlsCerts: flagOf(global('mountMtlsCerts'), false),
    nativeNftables: flagOf(global('nativeNftables'), false),
    stsPort: numberOf(global('sts', 'servicePort'), 0),
    tokenAudience: textOf(global('sds', 'token', 'aud'), 'istio-ca'),
    cni: cniOf(raw),
    proxy: proxyOf(global('proxy')),
    init: {
      image: textOf(global('proxy_init', 'image'), 'proxyv2'),
      forceApplyIptables: flagOf(global('proxy_init', 'forceApplyIptables'), false),
    },
    gateways: {
      securityContext: objectOf(memberAt(raw, 'gateways', 'securityContext')),
      seccompProfile: objectOf(memberAt(raw, 'gateways', 'seccompProfile')),
    },
    waypoint: { resources: objectOf(global('waypoint', 'resources')) },
    tracers: objectOf(global('tracer')),
    rewriteAppHttpProbe: flagOf(memberAt(raw, 'sidecarInjectorWebhook', 'rewriteAppHTTPProbe'), true),
    agentless: {
      enabled: flagOf(global('agentless', 'enabled'), false),
      image: textOf(global('agentless', 'image'), 'docker.io/envoyproxy/envoy:distroless-v1.40.0'),
    },
  };
}

/**
 * The ProxyConfig fields that the chart writes into mesh config from these same values. They are used where the mesh
 * config has none, for users who have values but no rendered mesh config (`kube-inject --valuesFile`).
 */
export function proxyDefaultsOf(values: InjectorValues): JsonObject {
  const revision = values.revision === '' ? '' : `-${values.revision}`;
  const tracing = tracingOf(values.proxy.tracer, values);
  return {
    discoveryAddress: `istiod${revision}.${values.istioNamespace}.svc:15012`,
    ...(values.meshId === '' ? {} : { meshId: values.meshId }),
    ...(values.variant === '' ? {} : { image: { imageType: values.variant } }),
    ...(tracing === undefined ? {} : { tracing }),
  };
}

function tracingOf(tracer: string, values: InjectorValues): JsonObject | undefined {
  const given = objectOf(values.tracers[tracer]);
  const address = textOf(given['address'], '');
  switch (tracer) {
    case 'zipkin':
      return { zipkin: { address: address || `zipkin.${values.istioNamespace}:9411` } };
    case 'datadog':
      return { datadog: { address: address || '$(HOST_IP):8126' } };
    case 'lightstep':
      return { lightstep: { address, accessToken: textOf(given['accessToken'], '') } };
    case 'stackdriver':
      return { stackdriver: {} };
    default:
      return undefined;
  }
}

function cniOf(raw: unknown): InjectorValues['cni'] {
  const pilot = memberAt(raw, 'pilot', 'cni');
  const legacy = memberAt(raw, 'istio_cni');
  const provider = (cni: unknown) => textOf(memberAt(cni, 'provider'), 'default');
  return {
    enabled: flagOf(memberAt(pilot, 'enabled'), false) || flagOf(memberAt(legacy, 'enabled'), false),
    multus: provider(pilot) === 'multus' || provider(legacy) === 'multus' || memberAt(legacy, 'chained') === false,
  };
}

function proxyOf(raw: unknown): ProxyValues {
  const at = (...path: readonly string[]) => memberAt(raw, ...path);
  const lifecycle = at('lifecycle');
  return {
    image: textOf(at('image'), 'proxyv2'),
    clusterDomain: textOf(at('clusterDomain'), 'cluster.local'),
    logLevel: textOf(at('logLevel'), 'warning'),
    componentLogLevel: textOf(at('componentLogLevel'), 'misc:error'),
    outlierLogPath: textOf(at('outlierLogPath'), ''),
    privileged: flagOf(at('privileged'), false),
    capNetBindService: scalarOf(at('capNetBindService'), ''),
    statusPort: scalarOf(at('statusPort'), '15020'),
    includeIpRanges: textOf(at('includeIPRanges'), '*'),
    excludeIpRanges: textOf(at('excludeIPRanges'), ''),
    includeInboundPorts: scalarOf(at('includeInboundPorts'), '*'),
    excludeInboundPorts: scalarOf(at('excludeInboundPorts'), ''),
    includeOutboundPorts: scalarOf(at('includeOutboundPorts'), ''),
    excludeOutboundPorts: scalarOf(at('excludeOutboundPorts'), ''),
    readinessInitialDelaySeconds: numberOf(at('readinessInitialDelaySeconds'), 0),
    readinessPeriodSeconds: numberOf(at('readinessPeriodSeconds'), 15),
    readinessFailureThreshold: numberOf(at('readinessFailureThreshold'), 4),
    startupProbe: {
      enabled: flagOf(at('startupProbe', 'enabled'), true),
      failureThreshold: numberOf(at('startupProbe', 'failureThreshold'), 600),
    },
    resources: canonicalResources(isObject(at('resources')) ? objectOf(at('resources')) : defaultResources),
    lifecycle: isObject(lifecycle) && Object.keys(lifecycle).length > 0 ? lifecycle : undefined,
    seccompProfile: objectOf(at('seccompProfile')),
    holdApplicationUntilProxyStarts: flagOf(at('holdApplicationUntilProxyStarts'), false),
    tracer: textOf(at('tracer'), 'none'),
  };
}

const defaultResources: JsonObject = {
  limits: { cpu: '2000m', memory: '1024Mi' },
  requests: { cpu: '100m', memory: '128Mi' },
};

function textOf(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

function scalarOf(value: unknown, fallback: string): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : fallback;
}

function numberOf(value: unknown, fallback: number): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d{1,9}$/.test(value) ? Number(value) : fallback;
}

function flagOf(value: unknown, fallback: boolean): boolean {
  if (typeof value === 'boolean') return value;
  return value === 'true' ? true : value === 'false' ? false : fallback;
}
