// How to reach an API server: from inside a pod, or by a kubeconfig file.
import { readFile } from 'node:fs/promises';
import type { AgentOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/** Where the API server is and how to show who we are. Credentials are asked for at each request, since they rotate. */
export interface KubeAccess {
  /** `https://host:port`, perhaps with a path. */
  readonly server: string;
  readonly tls: Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername'>;
  /** The `authorization` header; undefined where a client certificate says who we are. */
  readonly authorization: () => Promise<string | undefined>;
  /** Where it was read from, for messages. */
  readonly origin: string;
}

const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
const tokenAgeMs = 60_000;

/** The access of a pod: its service account's files, the token read anew every minute. */
export async function inClusterAccess(
  env: Readonly<Record<string, string | undefined>>,
  directory: string = serviceAccountDir,
  now: () => number = Date.now,
): Promise<KubeAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') {
    throw new Error(
      'there is no --kubeconfig and no --configDir, and this is no pod (KUBERNETES_SERVICE_HOST is not set)',
    );
  }
  const ca = await readFile(`${directory}/ca.crt`, 'utf8');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: { ca },
    authorization: tokenFile(`${directory}/token`, now),
    origin: 'the pod’s service account',
  };
}

/**
 * The access of a kubeconfig's current context, or of the one named. Tokens, token files and client certificates are read here; plugins
 * (exec, auth-provider) are left to Kubernetes' client library, which is loaded only for them.
 */
export async function kubeconfigAccess(
  path: string,
  now: () => number = Date.now,
  contextName?: string,
): Promise<KubeAccess> {
  const config = parse(await readFile(path, 'utf8')) as Kubeconfig;
  const chosen = contextName ?? config['current-context'];
  const context = config.contexts?.find(({ name }) => name === chosen)?.context;
  const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users?.find(({ name }) => name === context?.user)?.user ?? {};
  if (cluster?.server === undefined)
    throw new Error(`${path}: the context ${chosen ?? ''} names no cluster with a server`);
  const inline = async (data: string | undefined, file: string | undefined): Promise<string | undefined> =>
    data !== undefined
      ? Buffer.from(data, 'base64').toString('utf8')
      : file === undefined
        ? undefined
        : readFile(resolve(dirname(path), file), 'utf8');
  const ca = await inline(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = await inline(user['client-certificate-data'], user['client-certificate']);
  const key = await inline(user['client-key-data'], user['client-key']);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(cluster['insecure-skip-tls-verify'] === true ? { rejectUnauthorized: false } : {}),
      ...(cluster['tls-server-name'] === undefined ? {} : { servername: cluster['tls-server-name'] }),
    },
    authorization: authorizationOf(path, user, now),
    origin: path,
  };
}

interface Kubeconfig {
  readonly 'current-context'?: string;
  readonly contexts?: readonly {
    readonly name: string;
    readonly context: { readonly cluster: string; readonly user: string };
  }[];
  readonly clusters?: readonly { readonly name: string; readonly cluster: KubeconfigCluster }[];
  readonly users?: readonly { readonly name: string; readonly user: KubeconfigUser }[];
}

interface KubeconfigCluster {
  readonly server?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'certificate-authority'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
}

interface KubeconfigUser {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-certificate'?: string;
  readonly 'client-key-data'?: string;
  readonly 'client-key'?: string;
  readonly exec?: unknown;
  readonly 'auth-provider'?: unknown;
}

function authorizationOf(path: string, user: KubeconfigUser, now: () => number): KubeAccess['authorization'] {
  if (user.exec !== undefined || user['auth-provider'] !== undefined) return pluginAuthorization(path);
  if (user.tokenFile !== undefined) return tokenFile(resolve(dirname(path), user.tokenFile), now);
  const { token } = user;
  return async () => (token === undefined ? undefined : `Bearer ${token}`);
}

function tokenFile(path: string, now: () => number): KubeAccess['authorization'] {
  let read: { readonly header: string; readonly at: number } | undefined;
  return async () => {
    if (read === undefined || now() - read.at > tokenAgeMs)
      read = { header: `Bearer ${(await readFile(path, 'utf8')).trim()}`, at: now() };
    return read.header;
  };
}

function pluginAuthorization(path: string): KubeAccess['authorization'] {
  return async () => {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    config.loadFromFile(path);
    const options: { headers?: Record<string, string> } = { headers: {} };
    await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
    return options.headers?.['Authorization'];
  };
}
