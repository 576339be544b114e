// The control plane as its own process, as operators run it: `meltemi discovery` on free ports.
import { join } from 'node:path';
import { Child } from './child.ts';
import { freePort } from './ports.ts';
import { waitFor } from './wait.ts';

export interface DiscoveryPorts {
  /** xDS in plain text. */
  readonly grpc: number;
  /** xDS and the certificate authority, with TLS. */
  readonly secureGrpc: number;
  /** Readiness and debug. */
  readonly http: number;
  /** Webhooks. */
  readonly https: number;
  /** Metrics and debug. */
  readonly monitoring: number;
}

export interface DiscoveryOptions {
  /** Kubernetes as the source. */
  readonly kubeconfig?: string;
  /** A folder with the files of a service account, mounted where a pod has them; only root can do that. */
  readonly serviceAccount?: string;
  /** A folder of YAML as the source. */
  readonly configFolder?: string;
  /** Address of every port; 127.0.0.1 by default. */
  readonly address?: string;
  /** Those of a server that ended, to come back in its place; free ones by default. */
  readonly ports?: DiscoveryPorts;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of Node itself, such as `--cpu-prof`; those that NODE_OPTIONS may hold. */
  readonly nodeArgs?: readonly string[];
  /** Whether it can be asked for its heap. */
  readonly tellsHeap?: boolean;
  /** Milliseconds until /ready must say 200; 60 s by default. */
  readonly timeoutMs?: number;
  /** Whether that is waited for; else only until /ready answers. */
  readonly untilReady?: boolean;
}

/** A running control plane that is ready. */
export interface TestDiscovery extends AsyncDisposable {
  readonly child: Child;
  readonly address: string;
  readonly ports: DiscoveryPorts;
  /** Milliseconds from its start to its first 200 at /ready. */
  readonly readyAfterMs: number;
  /** GET of a path of the monitoring port; throws for a status other than 200. */
  get(path: string): Promise<string>;
  /** A metric without labels, as a scrape shows it; throws where it is not shown. */
  metric(name: string): Promise<number>;
  /** Collects its garbage and gives the bytes of V8's heap that are left; needs `tellsHeap`. */
  heapAfterCollection(): Promise<number>;
}

const heapOnSignal = join(import.meta.dirname, 'heap-on-signal.mjs');
const launcher = join(import.meta.dirname, '..', '..', 'cmd', 'meltemi');

/** Starts `meltemi discovery` and waits until it is ready, or told. */
export async function startDiscovery(options: DiscoveryOptions): Promise<TestDiscovery> {
  const address = options.address ?? '127.0.0.1';
  const ports = options.ports ?? (await freePorts(address));
  const started = performance.now();
  const heaps: number[] = [];
  const nodeArgs = [...(options.nodeArgs ?? []), ...(options.tellsHeap === true ? ['--import', heapOnSignal] : [])];
  const child = new Child({
    name: 'meltemi discovery',
    ...commandOf(options, ['discovery', ...flagsOf(options, address, ports)]),
    environment: {
      ...process.env,
      ...(nodeArgs.length === 0 ? {} : { NODE_OPTIONS: nodeArgs.join(' ') }),
      ...options.environment,
    },
    onOutput: (text) => heaps.push(...[...text.matchAll(/^heap after collection: (\d+)$/gm)].map(([, n]) => Number(n))),
  });
  try {
    const isReady = async () => {
      if (!child.running) return true;
      const { status } = await fetch(`http://${address}:${ports.http}/ready`);
      return options.untilReady === false || status === 200;
    };
    const timeoutMs = options.timeoutMs ?? 60_000;
    const detail = () => child.output().slice(-4000);
    await waitFor('meltemi discovery to be ready', isReady, { timeoutMs, intervalMs: 10, detail });
    child.assertRunning();
  } catch (error) {
    await child.kill();
    throw error;
  }
  const get = (path: string): Promise<string> => getText(`http://${address}:${ports.monitoring}${path}`);
  return {
    child,
    address,
    ports,
    readyAfterMs: performance.now() - started,
    get,
    metric: async (name) => {
      const line = (await get('/metrics')).split('\n').find((text) => text.startsWith(`${name} `));
      if (line === undefined) throw new Error(`no metric ${name}`);
      return Number(line.slice(name.length + 1));
    },
    heapAfterCollection: () => {
      const known = heaps.length;
      child.signal('SIGUSR2');
      return waitFor('the heap after a collection', () => heaps[known], { timeoutMs: 60_000 });
    },
    [Symbol.asyncDispose]: async () => void (await child.stop()),
  };
}

/** A free port for each of a plane's servers. */
export async function freePorts(address: string): Promise<DiscoveryPorts> {
  return {
    grpc: await freePort(address),
    secureGrpc: await freePort(address),
    http: await freePort(address),
    https: await freePort(address),
    monitoring: await freePort(address),
  };
}

/** Mounts in a mount namespace of its own, over an empty `/run`: the machine is left as it is. */
const mountServiceAccount = [
  'at=/run/secrets/kubernetes.io/serviceaccount',
  'mount -t tmpfs none /run',
  'mkdir -p "$at"',
  'mount --bind "$0" "$at"',
  'exec "$@"',
].join(' && ');

function commandOf({ serviceAccount }: DiscoveryOptions, args: readonly string[]) {
  if (serviceAccount === undefined) return { command: launcher, args };
  const mounted = ['--mount', '--propagation', 'private', 'sh', '-c', mountServiceAccount, serviceAccount];
  return { command: 'unshare', args: [...mounted, launcher, ...args] };
}

function flagsOf(options: DiscoveryOptions, address: string, ports: DiscoveryPorts): readonly string[] {
  return [
    ...(options.kubeconfig === undefined ? [] : ['--kubeconfig', options.kubeconfig]),
    ...(options.configFolder === undefined ? [] : ['--configDir', options.configFolder]),
    ...['--grpcAddr', `${address}:${ports.grpc}`, '--secureGRPCAddr', `${address}:${ports.secureGrpc}`],
    ...['--httpAddr', `${address}:${ports.http}`, '--httpsAddr', `${address}:${ports.https}`],
    ...['--monitoringAddr', `${address}:${ports.monitoring}`],
    ...(options.flags ?? []),
  ];
}

async function getText(url: string): Promise<string> {
  const answer = await fetch(url);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`GET ${url}: ${answer.status} ${text}`);
  return text;
}
