// The part of MeshConfig that decides what an injected pod looks like.
import { isObject, type JsonObject, memberAt, objectOf } from './json.ts';
import { defaultProxyConfig, mergeProxyConfig, normalize, type ProxyConfig } from './proxy-config.ts';

/** Mesh settings for injection, with MeshConfig's defaults filled in. */
export interface MeshSettings {
  readonly defaultConfig: ProxyConfig;
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly proxyListenPort: number;
  readonly proxyInboundListenPort: number;
  readonly enablePrometheusMerge: boolean;
  /** Whether inbound traffic without a listener goes to localhost instead of the pod's address. */
  readonly inboundLocalhost: boolean;
}

/**
 * Reads MeshConfigs (proto JSON, as in ConfigMap `istio`, key `mesh`, already parsed), each laid over those before it;
 * what is absent takes its default. `fallback` stands in for fields that their `defaultConfig` lacks.
 */
export function meshSettingsOf(
  meshes: readonly unknown[],
  fallback: ProxyConfig = {},
): { readonly settings: MeshSettings } | { readonly problem: string } {
  const normalized = meshes.map((mesh) => normalize(objectOf(memberAt(mesh, 'defaultConfig'))));
  const configs: ProxyConfig[] = [fallback];
  for (const each of normalized) {
    if ('problem' in each) return { problem: `defaultConfig: ${each.problem}` };
    configs.push(each.config);
  }
  const raw: JsonObject = Object.assign({}, ...meshes.filter(isObject));
  return {
    settings: {
      defaultConfig: configs.reduce(mergeProxyConfig, defaultProxyConfig),
      trustDomain: textOr(raw['trustDomain'], 'cluster.local'),
      rootNamespace: textOr(raw['rootNamespace'], 'istio-system'),
      proxyListenPort: portOr(raw['proxyListenPort'], 15001),
      proxyInboundListenPort: portOr(raw['proxyInboundListenPort'], 15006),
      enablePrometheusMerge: raw['enablePrometheusMerge'] !== false,
      inboundLocalhost: memberAt(raw, 'inboundTrafficPolicy', 'mode') === 'LOCALHOST',
    },
  };
}

/** The port at which agents answer the kubelet and Prometheus. */
export function statusPortOf({ defaultConfig }: Pick<MeshSettings, 'defaultConfig'>): number {
  const port = defaultConfig['statusPort'];
  return typeof port === 'number' ? port : 15020;
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}

function portOr(value: unknown, fallback: number): number {
  return typeof value === 'number' && value > 0 ? value : fallback;
}
