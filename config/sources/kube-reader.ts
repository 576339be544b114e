// Reads single objects from a Kubernetes API server, for commands that look once and do not watch.
import type { KubeApi } from './kube-api.ts';

/** What commands ask of a cluster. Absent objects are undefined; everything else that goes wrong throws. */
export interface ClusterReader {
  /** The `data` of a ConfigMap. */
  configMap(namespace: string, name: string): Promise<Readonly<Record<string, string>> | undefined>;
  namespaceLabels(name: string): Promise<Readonly<Record<string, string>> | undefined>;
  pod(namespace: string, name: string): Promise<unknown>;
  /** Kubelet versions by node. */
  kubeletVersions(): Promise<ReadonlyMap<string, string>>;
  /** All MutatingWebhookConfigurations, in the order of their names. */
  mutatingWebhooks(): Promise<readonly unknown[]>;
}

type Get = (path: string) => Promise<unknown>;

/** Reads through an API server's client; each question is one request. */
export function clusterReader(api: KubeApi): ClusterReader {
  return readerOf(async (path) => {
    const { status, body } = await api.send('GET', path);
    if (status === 404) return undefined;
    if (status === 200) return body;
    throw new Error(`${api.origin}: ${path} is answered with ${status} ${String(member(body, 'message') ?? '')}`);
  });
}

function readerOf(get: Get): ClusterReader {
  const segment = encodeURIComponent;
  const labelsOf = (object: unknown) => textMap(member(object, 'metadata', 'labels'));
  return {
    configMap: async (namespace, name) => {
      const object = await get(`/api/v1/namespaces/${segment(namespace)}/configmaps/${segment(name)}`);
      return object === undefined ? undefined : textMap(member(object, 'data'));
    },
    namespaceLabels: async (name) => {
      const object = await get(`/api/v1/namespaces/${segment(name)}`);
      return object === undefined ? undefined : labelsOf(object);
    },
    pod: (namespace, name) => get(`/api/v1/namespaces/${segment(namespace)}/pods/${segment(name)}`),
    kubeletVersions: async () => {
      const nodes = itemsOf(await get('/api/v1/nodes'));
      return new Map(
        nodes.map((node) => [
          String(member(node, 'metadata', 'name')),
          String(member(node, 'status', 'nodeInfo', 'kubeletVersion') ?? ''),
        ]),
      );
    },
    mutatingWebhooks: async () =>
      itemsOf(await get('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations')),
  };
}

function member(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (current, key) =>
      typeof current === 'object' && current !== null ? (current as Record<string, unknown>)[key] : undefined,
    value,
  );
}

function itemsOf(list: unknown): readonly unknown[] {
  const items = member(list, 'items');
  return Array.isArray(items) ? items : [];
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}
