// Reads single objects from a Kubernetes API server, for commands that look once and do not watch.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';

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

/** Which cluster: the usual places (KUBECONFIG, ~/.kube/config, the pod's service account) unless given. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Bytes of one answer, and milliseconds for one question. */
const limits = { bytes: 32 * 1024 * 1024, timeout: 15_000 } as const;

type Get = (path: string) => Promise<unknown>;

/** Opens a cluster. Throws where no configuration is found; the cluster itself is asked later. */
export async function openClusterReader(choice: ClusterChoice): Promise<ClusterReader> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (choice.kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(choice.kubeconfig);
  if (choice.context !== undefined) config.setCurrentContext(choice.context);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error('the kubeconfig names no cluster');
  const get: Get = async (path) => {
    const url = new URL(`${server.replace(/\/$/, '')}${path}`);
    const options: RequestOptions = { headers: { accept: 'application/json' } };
    await config.applyToHTTPSOptions(options);
    return getJson(url, options);
  };
  return readerOf(get);
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

/** The JSON at an address; undefined for 404. Rejects for every other refusal, with the server's message. */
function getJson(url: URL, options: RequestOptions): Promise<unknown> {
  const request = url.protocol === 'http:' ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const call = request(url, { ...options, method: 'GET', timeout: limits.timeout }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > limits.bytes) call.destroy(new Error(`the answer of ${url.pathname} is too large`));
        chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status === 404) return resolve(undefined);
        try {
          const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
          if (status === 200) return resolve(body);
          reject(new Error(`${url.pathname}: ${status} ${String(member(body, 'message') ?? '')}`));
        } catch {
          reject(new Error(`${url.pathname}: ${status}, and the answer is not JSON`));
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${url.host} did not answer in ${limits.timeout} ms`)));
    call.on('error', reject);
    call.end();
  });
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
