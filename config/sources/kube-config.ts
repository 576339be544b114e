// How to reach an API server, and as whom: from inside a pod, or by kubeconfig files.
import { readFile } from 'node:fs/promises';
import type { AgentOptions } from 'node:https';
import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { checkServerIdentity } from 'node:tls';
import { openPlugin } from './kube-plugin.ts';
import { type KubeContext, readKubeContext } from './kubeconfig.ts';

/** Who we are to an API server. Absent fields say nothing. */
export interface KubeCredential {
  /** The `authorization` header. */
  readonly authorization?: string;
  /** A client certificate and its key, as PEM. */
  readonly cert?: string;
  readonly key?: string;
}

/** Where the API server is and how to show who we are. Credentials are asked for at each request, since they rotate. */
export interface KubeAccess {
  /** `https://host:port`, perhaps with a path. */
  readonly server: string;
  readonly tls: Pick<AgentOptions, 'ca' | 'rejectUnauthorized' | 'servername' | 'checkServerIdentity'>;
  readonly credential: () => Promise<KubeCredential>;
  /** Told when the API server answers that it does not know us (401): the next credential is a fresh one where it can be. */
  readonly refused: () => void;
  /** Where it was read from, for messages. */
  readonly origin: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** How a kubeconfig is read. */
export interface KubeconfigOptions {
  /** What named the files, for messages; `--kubeconfig` by default. */
  readonly named?: string;
  /** The current context by default. */
  readonly context?: string;
  /** The environment of exec plugins. */
  readonly env?: Env;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
const fileAgeMs = 60_000;

/** The access of a pod: its service account's files, the token read anew every minute. Throws where this is no pod. */
export async function inClusterAccess(
  env: Env,
  directory: string = serviceAccountDir,
  now: () => number = Date.now,
): Promise<KubeAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') throw new Error('this is no pod (KUBERNETES_SERVICE_HOST is not set)');
  const ca = await readFile(`${directory}/ca.crt`, 'utf8');
  const token = followFile(`${directory}/token`, now);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tls: { ca },
    credential: async () => ({ authorization: `Bearer ${(await token.text()).trim()}` }),
    refused: token.forget,
    origin: 'the pod’s service account',
  };
}

/**
 * The access of a kubeconfig's current context, or of the one named. One path must exist; several are merged as kubectl
 * does with KUBECONFIG. Throws with file, line and column where a file is not as it should be.
 */
export async function kubeconfigAccess(
  paths: string | readonly string[],
  options: KubeconfigOptions = {},
): Promise<KubeAccess> {
  const { named = '--kubeconfig', now = Date.now, env = {} } = options;
  const context = await readKubeContext(named, paths, options.context);
  const { cluster, clusterFile, name } = context;
  const ca = await inline(cluster['certificate-authority-data'], cluster['certificate-authority'], clusterFile, now);
  const skipped = cluster['insecure-skip-tls-verify'] === true;
  const servername = cluster['tls-server-name'];
  const roots = await ca?.text();
  return {
    server: cluster.server.replace(/\/+$/, ''),
    tls: {
      ...(roots === undefined ? {} : { ca: roots }),
      ...(skipped ? { rejectUnauthorized: false } : {}),
      ...(servername === undefined ? {} : identityOf(servername)),
    },
    ...(await credentialOf(context, roots, env, now)),
    origin: `context ${name} of ${clusterFile}`,
  };
}

/** An address is looked for in the certificate, but never sent as the server's name (RFC 6066, section 3). */
function identityOf(servername: string): Pick<KubeAccess['tls'], 'servername' | 'checkServerIdentity'> {
  if (isIP(servername) === 0) return { servername };
  return { checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate) };
}

async function credentialOf(
  context: KubeContext,
  roots: string | undefined,
  env: Env,
  now: () => number,
): Promise<Pick<KubeAccess, 'credential' | 'refused'>> {
  const { user, userFile, cluster } = context;
  if (user.exec !== undefined) {
    const config = cluster.extensions?.find(({ name }) => name === 'client.authentication.k8s.io/exec')?.extension;
    const told = {
      server: cluster.server,
      ...(cluster['tls-server-name'] === undefined ? {} : { 'tls-server-name': cluster['tls-server-name'] }),
      ...(cluster['insecure-skip-tls-verify'] === true ? { 'insecure-skip-tls-verify': true } : {}),
      ...(roots === undefined ? {} : { 'certificate-authority-data': Buffer.from(roots).toString('base64') }),
      ...(config === undefined ? {} : { config }),
    };
    return openPlugin(user.exec, { file: userFile, cluster: told, env, now });
  }
  if (user['auth-provider'] !== undefined) return providerCredential(context);
  const file = user.tokenFile === undefined ? undefined : followFile(resolve(dirname(userFile), user.tokenFile), now);
  const cert = await inline(user['client-certificate-data'], user['client-certificate'], userFile, now);
  const key = await inline(user['client-key-data'], user['client-key'], userFile, now);
  const parts = [file, cert, key];
  return {
    credential: async () => {
      const token = (await file?.text())?.trim() ?? user.token;
      const pair = cert === undefined || key === undefined ? {} : { cert: await cert.text(), key: await key.text() };
      return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...pair };
    },
    refused: () => {
      for (const part of parts) part?.forget();
    },
  };
}

/** `auth-provider`, the way before exec plugins, is left to Kubernetes' client library, which is loaded only for it. */
async function providerCredential(context: KubeContext): Promise<Pick<KubeAccess, 'credential' | 'refused'>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  // It sees the chosen context only, and stays, since it keeps what it was given until that ends.
  const [name, { cluster, user }] = ['chosen', context];
  config.loadFromString(
    JSON.stringify({
      'current-context': name,
      contexts: [{ name, context: { cluster: name, user: name } }],
      clusters: [{ name, cluster: { server: cluster.server } }],
      users: [{ name, user }],
    }),
  );
  config.makePathsAbsolute(dirname(context.userFile));
  return {
    credential: async () => {
      const options: { headers?: Record<string, string> } = { headers: {} };
      await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
      const authorization = options.headers?.['Authorization'];
      return authorization === undefined ? {} : { authorization };
    },
    refused: () => undefined,
  };
}

/** A text that may change: `forget` has it read anew. */
interface FollowedText {
  readonly text: () => Promise<string>;
  readonly forget: () => void;
}

/** Data of a kubeconfig, or of the file that it names beside itself. */
async function inline(
  data: string | undefined,
  file: string | undefined,
  beside: string,
  now: () => number,
): Promise<FollowedText | undefined> {
  if (data !== undefined) {
    const text = Buffer.from(data, 'base64').toString('utf8');
    return { text: async () => text, forget: () => undefined };
  }
  if (file === undefined) return undefined;
  const followed = followFile(resolve(dirname(beside), file), now);
  // What is missing is better told now.
  await followed.text();
  return followed;
}

/** A file that is replaced while we run, such as a pod's token: read anew every minute. */
function followFile(path: string, now: () => number): FollowedText {
  let read: { readonly text: string; readonly at: number } | undefined;
  return {
    text: async () => {
      if (read === undefined || now() - read.at > fileAgeMs) read = { text: await readFile(path, 'utf8'), at: now() };
      return read.text;
    },
    forget: () => {
      read = undefined;
    },
  };
}
