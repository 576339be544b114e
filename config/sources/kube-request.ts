// Single requests to a Kubernetes API server and its streams of watch events, with the user's own credentials.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';

/** Which cluster: the usual places (KUBECONFIG, ~/.kube/config, the pod's service account) unless given. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** An answer with its JSON body; undefined where there is none. */
export interface KubeReply {
  readonly status: number;
  readonly body: unknown;
}

/** A cluster to send requests to. */
export interface KubeRequests extends Disposable {
  /** Throws where the server cannot be reached, not for its refusals. */
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<KubeReply>;
  /** Calls back with each line of a watch until it ends or the signal aborts. Throws for refusals. */
  lines(path: string, signal: AbortSignal, line: (event: unknown) => void): Promise<void>;
}

/** Bytes of one answer, milliseconds for one request, and without any byte on a watch. */
const limits = { bytes: 64 * 1024 * 1024, timeout: 15_000, silence: 330_000 } as const;

/** Opens a cluster. Throws where no configuration is found; the cluster itself is asked later. */
export async function openKubeRequests(choice: ClusterChoice): Promise<KubeRequests> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (choice.kubeconfig === undefined) config.loadFromDefault();
  else config.loadFromFile(choice.kubeconfig);
  if (choice.context !== undefined) config.setCurrentContext(choice.context);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error('the kubeconfig names no cluster');
  const base = server.replace(/\/$/, '');
  // One agent keeps connections; credentials are asked each time, because tokens are renewed.
  let agent: Agent | undefined;
  const optionsOf = async (headers: Record<string, string>): Promise<RequestOptions> => {
    const options: RequestOptions = { headers: { accept: 'application/json', ...headers } };
    await config.applyToHTTPSOptions(options);
    if (base.startsWith('http:')) return { ...options, agent: false };
    agent ??= new Agent({ keepAlive: true, ...tlsOf(options) });
    return { ...options, agent };
  };
  return {
    send: async (method, path, body, contentType = 'application/json') => {
      const data = body === undefined ? undefined : JSON.stringify(body);
      const headers = data === undefined ? {} : { 'content-type': contentType };
      const options = await optionsOf({ ...headers });
      const response = await respond(new URL(`${base}${path}`), { ...options, method, timeout: limits.timeout }, data);
      return { status: response.statusCode ?? 0, body: jsonOf(await textOf(response)) };
    },
    lines: async (path, signal, line) => {
      const options = await optionsOf({});
      const url = new URL(`${base}${path}`);
      const response = await respond(url, { ...options, method: 'GET', signal, timeout: limits.silence });
      if (response.statusCode !== 200) {
        throw new Error(`${url.pathname}: ${response.statusCode} ${messageOf(jsonOf(await textOf(response)))}`);
      }
      for await (const text of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (text !== '') line(jsonOf(text));
      }
    },
    [Symbol.dispose]: () => agent?.destroy(),
  };
}

function tlsOf(
  options: RequestOptions,
): Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'> {
  const { ca, cert, key, rejectUnauthorized, servername } = options;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    ...(servername === undefined ? {} : { servername }),
  };
}

function respond(url: URL, options: RequestOptions, data?: string): Promise<IncomingMessage> {
  const request = url.protocol === 'http:' ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const call = request(url, options, resolve);
    call.on('timeout', () => call.destroy(new Error(`${url.host} did not answer in time`)));
    call.on('error', reject);
    call.end(data);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > limits.bytes) throw new Error('the answer of the API server is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The message of a Status object. */
export function messageOf(body: unknown): string {
  const message = typeof body === 'object' && body !== null ? (body as { message?: unknown }).message : undefined;
  return typeof message === 'string' ? message : '';
}
