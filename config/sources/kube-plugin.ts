// Credentials of a kubeconfig's exec plugin: the command is run when it is first needed and again when what it gave ends.
import { execFile } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import type { KubeCredential } from './kube-config.ts';

/** `user.exec` of a kubeconfig (client.authentication.k8s.io). */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly interactiveMode?: string;
  readonly provideClusterInfo?: boolean;
  readonly installHint?: string;
}

/** What running it needs. */
export interface PluginOptions {
  /** The kubeconfig file: a command with a relative path is looked for beside it. */
  readonly file: string;
  /** What the plugin is told of the cluster where it asks for that. */
  readonly cluster: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Gives credentials; `refused` says that the server did not take the one given last. */
export interface CredentialPlugin {
  readonly credential: () => Promise<KubeCredential>;
  readonly refused: () => void;
}

const versions: readonly string[] = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];
const runMs = 60_000;
const outputLimit = 1024 * 1024;
/** What it gave, a failure too, holds at least so long: whatever it says, it is not run for each request. */
const leastMs = 1_000;
/** It is asked again this long before the end of what it gave, or at half of a shorter life. */
const aheadMs = 10_000;

/** One plugin of one user for one cluster. Nothing is run yet. Throws where the plugin cannot be used by a service. */
export function openPlugin(plugin: ExecPlugin, options: PluginOptions): CredentialPlugin {
  const { now } = options;
  const name = `the exec plugin ${plugin.command}`;
  if (!versions.includes(plugin.apiVersion)) throw new Error(`${name}: apiVersion must be ${versions.join(' or ')}`);
  if (plugin.interactiveMode === 'Always') throw new Error(`${name} wants a terminal (interactiveMode: Always)`);
  let held: { readonly answer: Promise<KubeCredential>; until: number; readonly least: number } | undefined;
  return {
    credential: () => {
      if (held !== undefined && now() < Math.max(held.until, held.least)) return held.answer;
      const answer = run(plugin, options).then((output) => readCredential(name, plugin, output, now()));
      // While it runs everybody waits for the same answer.
      const fresh = {
        answer: answer.then(({ credential }) => credential),
        until: Number.POSITIVE_INFINITY,
        least: now() + leastMs,
      };
      held = fresh;
      answer.then(
        ({ until }) => {
          fresh.until = Math.min(fresh.until, until);
        },
        () => {
          fresh.until = now() + leastMs;
        },
      );
      return fresh.answer;
    },
    refused: () => {
      if (held !== undefined) held.until = 0;
    },
  };
}

/** What the command writes. Its own messages are for people; what it writes out is secret and in no error. */
function run(plugin: ExecPlugin, { file, cluster, env }: PluginOptions): Promise<string> {
  const { apiVersion, command, args = [], env: more = [], provideClusterInfo, installHint } = plugin;
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(provideClusterInfo === true ? { cluster } : {}) },
  };
  const all = {
    ...env,
    ...Object.fromEntries(more.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify(info),
  };
  const program = /[/\\]/.test(command) ? resolve(dirname(file), command) : command;
  return new Promise((give, refuse) => {
    const settings = { env: all, timeout: runMs, maxBuffer: outputLimit, killSignal: 'SIGKILL' as const };
    const child = execFile(program, args, settings, (error, output, messages) => {
      if (error === null) return give(output);
      const { code, killed } = error as { readonly code?: number | string | null; readonly killed?: boolean };
      const why =
        code === 'ENOENT'
          ? `there is no such command${installHint === undefined ? '' : `\n${installHint}`}`
          : code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER'
            ? `wrote more than ${outputLimit} bytes`
            : killed === true
              ? `did not end within ${runMs / 1000} s`
              : `ended with ${typeof code === 'number' ? `exit code ${code}` : String(code)}: ${messages.trim().slice(-500)}`;
      refuse(new Error(`the exec plugin ${command}: ${why}`));
    });
    child.stdin?.end();
  });
}

function readCredential(
  name: string,
  { apiVersion }: ExecPlugin,
  output: string,
  now: number,
): { readonly credential: KubeCredential; readonly until: number } {
  const answer = parsed(output);
  if (answer?.kind !== 'ExecCredential' || answer.apiVersion !== apiVersion)
    throw new Error(`${name} did not write an ExecCredential of ${apiVersion}`);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = answer.status ?? {};
  const hasToken = typeof token === 'string' && token !== '';
  const hasCertificate = typeof cert === 'string' && typeof key === 'string';
  if (!hasToken && !hasCertificate) throw new Error(`${name} gave neither a token nor a certificate with its key`);
  const end = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : Number.POSITIVE_INFINITY;
  return {
    credential: {
      ...(hasToken ? { authorization: `Bearer ${token}` } : {}),
      ...(hasCertificate ? { cert, key } : {}),
    },
    until: Number.isFinite(end) ? end - Math.min(aheadMs, (end - now) / 2) : Number.POSITIVE_INFINITY,
  };
}

interface ExecCredential {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly status?: Readonly<Record<string, unknown>>;
}

function parsed(output: string): ExecCredential | undefined {
  try {
    return JSON.parse(output) as ExecCredential;
  } catch {
    return undefined;
  }
}
