// Real Envoys for tests: started from a bootstrap object, asked over their admin interface, ended with the test.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureEnvoy } from '../../cmd/envoy-install.ts';
import { Child } from './child.ts';
import { waitFor } from './wait.ts';

/** Any JSON object: Envoy's messages as protobuf JSON, whose exact types no test needs. */
export type Json = Readonly<Record<string, unknown>>;

export interface EnvoyOptions {
  /** envoy.config.bootstrap.v3.Bootstrap as protobuf JSON; its `admin` is replaced. */
  readonly bootstrap: Json;
  /** What messages call it. */
  readonly name?: string;
  /** More arguments, such as `--service-node`. */
  readonly args?: readonly string[];
  /** `warning` by default. */
  readonly logLevel?: string;
  /** Worker threads; one by default. */
  readonly concurrency?: number;
  /** What to put before the command, such as `pod.enterAs(1337)` of netns.ts. */
  readonly prefix?: readonly string[];
  /** Milliseconds until the admin interface must answer; 15 s by default. */
  readonly timeoutMs?: number;
}

/** A running Envoy. Its admin interface is a Unix socket, so it answers from every network namespace. */
export interface TestEnvoy extends AsyncDisposable {
  readonly child: Child;
  /** GET of an admin path, such as `/stats?format=json`; throws for a status other than 200. */
  admin(path: string): Promise<string>;
  /** POST of an admin path, such as `/logging?level=debug`. */
  adminPost(path: string): Promise<string>;
  /** The typed configs of `/config_dump`, with endpoints. */
  configDump(): Promise<readonly Json[]>;
  /** Counters and gauges by name, of those that the regular expression matches (all where it is absent). */
  stats(filter?: string): Promise<ReadonlyMap<string, number>>;
  /** `/clusters` as JSON: each cluster with its hosts' addresses, health and weights. */
  clusters(): Promise<readonly Json[]>;
  /** Resolves when Envoy says LIVE at /ready, which it does once its first configuration is in. */
  ready(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts Envoy and waits until its admin interface answers. */
export async function startEnvoy(options: EnvoyOptions): Promise<TestEnvoy> {
  const binary = await ensureEnvoy();
  const folder = await mkdtemp(join(tmpdir(), 'envoy-'));
  const socket = join(folder, 'admin.sock');
  const bootstrap = { ...options.bootstrap, admin: { address: { pipe: { path: socket } } } };
  await writeFile(join(folder, 'bootstrap.json'), JSON.stringify(bootstrap));
  const command = [...(options.prefix ?? []), binary, ...envoyArgs(folder, options)];
  const child = new Child({ name: options.name ?? 'envoy', command: command[0] as string, args: command.slice(1) });
  const envoy = new AdminClient(child, folder, socket);
  try {
    const answers = async () => {
      if (!child.running) return true;
      await envoy.admin('/server_info');
      return true;
    };
    const timeoutMs = options.timeoutMs ?? 15_000;
    await waitFor(`${child.name} to start`, answers, { timeoutMs, detail: () => child.output().slice(-4000) });
    child.assertRunning();
  } catch (error) {
    await envoy.stop();
    throw error;
  }
  return envoy;
}

function envoyArgs(folder: string, options: EnvoyOptions): readonly string[] {
  return [
    ...['-c', join(folder, 'bootstrap.json'), '--use-dynamic-base-id'],
    ...['--concurrency', String(options.concurrency ?? 1), '--log-level', options.logLevel ?? 'warning'],
    ...['--drain-time-s', '1', '--parent-shutdown-time-s', '2'],
    ...(options.args ?? []),
  ];
}

class AdminClient implements TestEnvoy {
  readonly child: Child;
  readonly #folder: string;
  readonly #socket: string;

  constructor(child: Child, folder: string, socket: string) {
    this.child = child;
    this.#folder = folder;
    this.#socket = socket;
  }

  admin(path: string): Promise<string> {
    return this.#request('GET', path);
  }

  adminPost(path: string): Promise<string> {
    return this.#request('POST', path);
  }

  async configDump(): Promise<readonly Json[]> {
    const dump = JSON.parse(await this.admin('/config_dump?include_eds')) as { configs?: readonly Json[] };
    return dump.configs ?? [];
  }

  async stats(filter?: string): Promise<ReadonlyMap<string, number>> {
    const query = filter === undefined ? '' : `&filter=${encodeURIComponent(filter)}`;
    const answer = JSON.parse(await this.admin(`/stats?format=json${query}`)) as {
      stats: readonly { name?: string; value?: number }[];
    };
    const values = new Map<string, number>();
    for (const { name, value } of answer.stats) {
      if (name !== undefined && typeof value === 'number') values.set(name, value);
    }
    return values;
  }

  async clusters(): Promise<readonly Json[]> {
    const answer = JSON.parse(await this.admin('/clusters?format=json')) as { cluster_statuses?: readonly Json[] };
    return answer.cluster_statuses ?? [];
  }

  async ready(timeoutMs = 15_000): Promise<void> {
    const isReady = async () => {
      this.child.assertRunning();
      return (await this.admin('/ready')).startsWith('LIVE');
    };
    await waitFor(`${this.child.name} to be ready`, isReady, {
      timeoutMs,
      detail: () => this.child.output().slice(-4000),
    });
  }

  async stop(): Promise<void> {
    await this.child.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #request(method: string, path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socket, method, path, agent: false, timeout: 10_000 }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(`${method} ${path} of ${this.child.name}: ${response.statusCode} ${body.trim()}`));
        });
      });
      call.on('timeout', () => call.destroy(new Error(`${method} ${path} of ${this.child.name} timed out`)));
      call.on('error', reject);
      call.end();
    });
  }
}
