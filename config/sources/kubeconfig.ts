// Reads kubeconfig files as kubectl does: several are merged, the first one to name something wins.
import { readFile, stat } from 'node:fs/promises';
import { parseYaml, type YamlDocument, yamlLimits } from '../yaml.ts';
import type { ExecPlugin } from './kube-plugin.ts';

/** What a context names, each with the file that it stands in: paths in it are relative to that file. */
export interface KubeContext {
  readonly name: string;
  readonly cluster: KubeconfigCluster & { readonly server: string };
  readonly clusterFile: string;
  readonly clusterName: string;
  readonly user: KubeconfigUser;
  readonly userFile: string;
  readonly userName: string;
}

export interface KubeconfigCluster {
  readonly server?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'certificate-authority'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
  readonly extensions?: readonly { readonly name?: unknown; readonly extension?: unknown }[];
}

export interface KubeconfigUser {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-certificate'?: string;
  readonly 'client-key-data'?: string;
  readonly 'client-key'?: string;
  readonly exec?: ExecPlugin;
  readonly 'auth-provider'?: unknown;
}

/** Fields that decide whom we would speak to, or as whom, and that are not implemented: going on without them is wrong. */
const refusedFields = {
  clusters: ['proxy-url'],
  users: ['as', 'as-uid', 'as-groups', 'as-user-extra', 'username', 'password'],
} as const;

const textFields = {
  clusters: ['server', 'certificate-authority-data', 'certificate-authority', 'tls-server-name'],
  users: [
    'token',
    'tokenFile',
    'client-certificate-data',
    'client-certificate',
    'client-key-data',
    'client-key',
    'exec.apiVersion',
    'exec.command',
  ],
  contexts: ['cluster', 'user'],
} as const;

type Section = keyof typeof textFields;

/** One file, looked into but not yet judged. */
interface Kubeconfig {
  readonly file: string;
  readonly document: YamlDocument;
}

/**
 * The context of that name, or the current one. `named` is what named the files, for messages. A single path must exist; of several
 * those that do not are left out, as kubectl does, unless there is none at all. Throws where something is wrong, with
 * file, line and column, and never with what stands there.
 */
export async function readKubeContext(
  named: string,
  paths: string | readonly string[],
  contextName?: string,
): Promise<KubeContext> {
  const list = typeof paths === 'string' ? [paths] : paths;
  const read = await Promise.all(list.map((file) => readOne(named, file, typeof paths === 'string')));
  const files = read.filter((one) => one !== undefined);
  if (files.length === 0) throw new Error(`${named}: there is no ${list.join(' and no ')}`);
  const place = `${named} ${files.map(({ file }) => file).join(', ')}`;
  const chosen = contextName ?? files.map(currentContext).find((name) => name !== undefined);
  if (chosen === undefined) throw new Error(`${place}: there is no current-context`);
  const context = find(files, 'contexts', chosen);
  if (context === undefined) throw new Error(`${place}: there is no context ${JSON.stringify(chosen)}`);
  const { cluster: clusterName, user: userName = '' } = context.value as { cluster?: string; user?: string };
  const cluster = find(files, 'clusters', clusterName ?? '');
  const { server } = (cluster?.value ?? {}) as KubeconfigCluster;
  if (cluster === undefined || server === undefined)
    throw new Error(`${place}: context ${JSON.stringify(chosen)} names no cluster with a server`);
  if (!server.startsWith('https://')) throw new Error(`${cluster.at('server')}: the server must begin with https://`);
  const user = find(files, 'users', userName);
  if (userName !== '' && user === undefined) throw new Error(`${place}: there is no user ${JSON.stringify(userName)}`);
  return {
    name: chosen,
    cluster: { ...(cluster.value as KubeconfigCluster), server },
    clusterFile: cluster.file,
    clusterName: clusterName ?? '',
    user: (user?.value ?? {}) as KubeconfigUser,
    userFile: user?.file ?? '',
    userName,
  };
}

async function readOne(named: string, file: string, required: boolean): Promise<Kubeconfig | undefined> {
  const text = await textOf(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && !required) return undefined;
    throw new Error(`${named} ${file}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`);
  });
  if (text === undefined) return undefined;
  const { documents, diagnostics } = parseYaml(file, text);
  const [problem] = diagnostics;
  if (problem !== undefined) {
    const { line = 1, column = 1 } = problem.position ?? {};
    // What a parser quotes may be a credential.
    throw new Error(`${named} ${file}:${line}:${column}: ${problem.message.replace(/: ".*$/s, '')}`);
  }
  const [document, ...more] = documents;
  if (document === undefined) throw new Error(`${named} ${file}: the file is empty`);
  const isConfig = isMap(document.value) && (document.value['kind'] ?? 'Config') === 'Config';
  if (!isConfig || more.length > 0) throw new Error(`${named} ${file}: this is no kubeconfig (kind: Config)`);
  return { file, document };
}

async function textOf(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > yamlLimits.fileBytes) throw new Error(`the file is larger than ${yamlLimits.fileBytes} bytes`);
  return readFile(file, 'utf8');
}

function currentContext({ document }: Kubeconfig): string | undefined {
  const name = (document.value as Readonly<Record<string, unknown>>)['current-context'];
  return typeof name === 'string' && name !== '' ? name : undefined;
}

interface Found {
  readonly file: string;
  readonly value: unknown;
  /** `file:line:column` of a field. */
  readonly at: (path: string) => string;
}

/** The first entry of that name in a section; its fields have the types that are read. */
function find(files: readonly Kubeconfig[], section: Section, name: string): Found | undefined {
  for (const { file, document } of files) {
    const entries = (document.value as Readonly<Record<string, unknown>>)[section] ?? [];
    const place = (path: string): string => {
      const { line, column } = document.positionOf(path);
      return `${file}:${line}:${column}`;
    };
    if (!Array.isArray(entries)) throw new Error(`${place(section)}: ${section} must be a list`);
    const index = entries.findIndex((entry) => isMap(entry) && entry['name'] === name);
    if (index < 0) continue;
    const field = section.slice(0, -1);
    const path = `${section}[${index}].${field}`;
    const given: unknown = entries[index][field];
    if (!isMap(given)) throw new Error(`${place(path)}: ${field} must be a map`);
    // kubectl writes `env: null` for what is not there.
    const value: unknown = JSON.parse(JSON.stringify(given), (_key, one) => one ?? undefined);
    const found = { file, value, at: (inner: string) => place(`${path}.${inner}`) };
    check(found, section);
    return found;
  }
  return undefined;
}

function check({ value, at }: Found, section: Section): void {
  const get = (path: string): unknown =>
    path.split('.').reduce<unknown>((current, key) => (isMap(current) ? current[key] : undefined), value);
  for (const path of textFields[section]) {
    const found = get(path);
    if (found !== undefined && typeof found !== 'string') throw new Error(`${at(path)}: ${path} must be text`);
  }
  for (const path of section === 'contexts' ? [] : refusedFields[section]) {
    if (get(path) !== undefined) throw new Error(`${at(path)}: ${path} is not supported`);
  }
  const exec = get('exec');
  if (exec !== undefined && (!isMap(exec) || exec['command'] === undefined))
    throw new Error(`${at('exec')}: exec must name a command`);
  for (const [path, each] of [
    ['exec.args', (one: unknown) => typeof one === 'string'],
    ['exec.env', (one: unknown) => isMap(one) && typeof one['name'] === 'string' && typeof one['value'] === 'string'],
  ] as const) {
    const list = get(path) ?? [];
    if (!Array.isArray(list) || !list.every(each))
      throw new Error(`${at(path)}: ${path} is not as Kubernetes defines it`);
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
