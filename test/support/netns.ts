// Network namespaces as pods: each with its own address, and with a sidecar's capture as istio-init sets it up.
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, type ChildOptions, type Finished, run, runOrThrow } from './child.ts';
import { captureRules, proxyId, usualArguments } from './iptables-rules.ts';

export interface PodRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds until the request is given up; 15 s by default. */
  readonly timeout?: number;
}

/** What a request from inside a pod was answered. */
export interface PodAnswer {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Why there was no answer, such as ECONNREFUSED. */
  readonly error?: string;
}

/**
 * A bridge with pods on it. The test's own process is the gateway, at `gateway`; that is where pods reach a control
 * plane. Names hold the process id, so that a later run removes what a crashed one left.
 */
export class PodNetwork implements AsyncDisposable {
  /** The address of the machine itself on this network. */
  readonly gateway: string;
  readonly #bridge: string;
  readonly #prefix: string;
  readonly #subnet: string;
  readonly #pods: Pod[] = [];
  #hosts: Readonly<Record<string, string>> = {};

  private constructor() {
    const tag = `${process.pid}x${randomBytes(2).toString('hex')}`;
    this.#bridge = `mb${tag}`.slice(0, 15);
    this.#prefix = `${namespacePrefix}${tag}`;
    this.#subnet = `10.${randomInt(200, 250)}.${randomInt(0, 256)}`;
    this.gateway = `${this.#subnet}.1`;
  }

  /** Throws where the user is not root, or `ip` or `iptables` is missing and cannot be installed. */
  static async create(): Promise<PodNetwork> {
    await ensureNetworkTools();
    await removeLeftovers();
    const network = new PodNetwork();
    await ip('link', 'add', network.#bridge, 'type', 'bridge');
    await ip('addr', 'add', `${network.gateway}/24`, 'dev', network.#bridge);
    await ip('link', 'set', network.#bridge, 'up');
    return network;
  }

  /** A new pod with the next address; everything it sends leaves to the bridge, whatever the destination. */
  async addPod(name: string): Promise<Pod> {
    const namespace = `${this.#prefix}-${name}-${this.#pods.length}`;
    const address = `${this.#subnet}.${10 + this.#pods.length}`;
    const link = `mv${randomBytes(5).toString('hex')}`;
    await ip('netns', 'add', namespace);
    const pod = new Pod(name, namespace, address);
    this.#pods.push(pod);
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('link', 'set', link, 'master', this.#bridge, 'up');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    await ip('-n', namespace, 'route', 'add', 'default', 'via', this.gateway);
    await this.#writeHosts(pod);
    return pod;
  }

  /** What names mean inside the pods, as cluster DNS would say; for programs started afterwards, and for later pods. */
  async setHosts(hosts: Readonly<Record<string, string>>): Promise<void> {
    this.#hosts = hosts;
    for (const pod of this.#pods) await this.#writeHosts(pod);
  }

  async #writeHosts({ namespace }: Pod): Promise<void> {
    const all = Object.entries({ localhost: '127.0.0.1', ...this.#hosts });
    await mkdir(join(hostsFolder, namespace), { recursive: true });
    await writeFile(
      join(hostsFolder, namespace, 'hosts'),
      all.map(([host, address]) => `${address} ${host}\n`).join(''),
    );
  }

  async close(): Promise<void> {
    for (const pod of this.#pods.splice(0)) await pod.remove();
    await run('ip', ['link', 'del', this.#bridge]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** One network namespace. */
export class Pod {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly #children: Child[] = [];

  constructor(name: string, namespace: string, address: string) {
    this.name = name;
    this.namespace = namespace;
    this.address = address;
  }

  /** What to put before a command to run it here as the application. */
  get asApplication(): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace, ...boundToParent];
  }

  /** What to put before a command to run it here as the proxy: its group exempts it from capture, and it can still read files of root. */
  get asProxy(): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace, ...boundToParent, `--regid=${proxyId}`, '--clear-groups'];
  }

  /**
   * Redirects the pod's TCP traffic as its init container with these arguments would. As there, before the proxy starts:
   * the kernel takes a connection that is open already for a new one, and one of its sides for captured.
   */
  async capture(args: readonly string[] = usualArguments): Promise<void> {
    await runOrThrow('ip', ['netns', 'exec', this.namespace, 'iptables-restore'], { input: captureRules(args) });
  }

  /** Starts a program that ends with the pod. */
  start(options: ChildOptions & { readonly proxy?: boolean }): Child {
    const [command, ...prefix] = options.proxy === true ? this.asProxy : this.asApplication;
    const args = [...prefix, options.command, ...(options.args ?? [])];
    const child = new Child({ ...options, command: command as string, args });
    this.#children.push(child);
    return child;
  }

  /** Runs a program to its end. */
  run(command: string, args: readonly string[], timeoutMs = 30_000): Promise<Finished> {
    const [first, ...prefix] = this.asApplication;
    return run(first as string, [...prefix, command, ...args], { timeoutMs });
  }

  /** An HTTP request of an application in this pod. */
  async fetch(url: string, options: PodRequest = {}): Promise<PodAnswer> {
    const { code, stdout, stderr } = await this.run(process.execPath, [
      '-e',
      fetchProgram,
      url,
      JSON.stringify(options),
    ]);
    if (code !== 0) throw new Error(`a request from pod ${this.name} could not be made: ${stderr.trim()}`);
    return JSON.parse(stdout) as PodAnswer;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop(2_000)));
    await removeNamespace(this.namespace);
  }
}

const namespacePrefix = 'meltemi-';
const hostsFolder = '/etc/netns';
const boundToParent = ['setpriv', '--pdeathsig', 'KILL'] as const;

/** `fetch` with each request on a connection of its own, so that balancing by connection shows too. */
const fetchProgram = `
const [url, options] = process.argv.slice(1);
const { body, ...rest } = JSON.parse(options);
const { request } = require(url.startsWith('https') ? 'https' : 'http');
const say = (answer) => process.stdout.write(JSON.stringify(answer));
const call = request(url, { timeout: 15000, ...rest, agent: false }, (answer) => {
  let text = '';
  answer.on('data', (chunk) => { text += chunk; });
  answer.on('end', () => say({ status: answer.statusCode, body: text, headers: answer.headers }));
  answer.on('error', (error) => say({ status: 0, body: text, headers: {}, error: error.code ?? error.message }));
});
call.on('timeout', () => call.destroy(new Error('timeout')));
call.on('error', (error) => say({ status: 0, body: '', headers: {}, error: error.code ?? error.message }));
call.end(body);
`;

async function ip(...args: readonly string[]): Promise<void> {
  await runOrThrow('ip', args);
}

async function removeNamespace(namespace: string): Promise<void> {
  await run('ip', ['netns', 'del', namespace]);
  await rm(join(hostsFolder, namespace), { recursive: true, force: true });
}

/** Removes the namespaces and bridges of processes that are gone. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir('/run/netns').catch(() => [])) {
    const pid = /^meltemi-(\d+)x/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await removeNamespace(name);
  }
  for (const name of await readdir('/sys/class/net')) {
    const pid = /^mb(\d+)x/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await run('ip', ['link', 'del', name]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Throws with what to do where pods cannot be made here; installs what is missing where the user may. */
async function ensureNetworkTools(): Promise<void> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('this test makes network namespaces: it needs Linux and root (sudo npm test)');
  }
  const packages = { ip: 'iproute2', 'iptables-restore': 'iptables', setpriv: 'util-linux' } as const;
  const missing: string[] = [];
  for (const [tool, name] of Object.entries(packages)) {
    if ((await run(tool, ['--version'])).code === 127) missing.push(name);
  }
  if (missing.length === 0) return;
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '--no-install-recommends', ...missing];
  let installed = await run('apt-get', install, { environment, timeoutMs: 300_000 });
  if (installed.code !== 0) {
    await run('apt-get', ['update'], { environment, timeoutMs: 300_000 });
    installed = await run('apt-get', install, { environment, timeoutMs: 300_000 });
  }
  if (installed.code !== 0) {
    throw new Error(
      `this test makes network namespaces: install ${missing.join(' and ')} (${installed.stderr.trim()})`,
    );
  }
}
