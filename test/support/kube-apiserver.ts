// A real Kubernetes API server for a test suite, in about a second: etcd, kube-apiserver and, where asked, its controllers.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { ensureKubeAssets } from './kube-assets.ts';
import { KubeClient } from './kube-client.ts';
import { freePort } from './ports.ts';
import { waitFor } from './wait.ts';

export interface ApiServerOptions {
  /**
   * Runs kube-controller-manager too, which makes EndpointSlices, ReplicaSets, default service accounts and their
   * tokens. Without it pods need no service account.
   */
  readonly controllerManager?: boolean;
  /** Address to listen on; pods in network namespaces reach the bridge's, not loopback. */
  readonly address?: string;
  /** More flags of kube-apiserver. */
  readonly flags?: readonly string[];
}

export const clusterDomain = 'cluster.local';
/** The issuer of service-account tokens. */
export const tokenIssuer = 'https://kubernetes.default.svc.cluster.local';

/** Starts an API server on free ports; RBAC is on, admission webhooks are called, ClusterIPs are 10.96.0.0/16. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  const assets = await ensureKubeAssets();
  const folder = await mkdtemp(join(tmpdir(), 'kube-'));
  const server = new TestApiServer({
    assets,
    folder,
    options,
    address: options.address ?? '127.0.0.1',
    port: await freePort(options.address),
    etcdPorts: [await freePort(), await freePort()],
    token: randomBytes(16).toString('hex'),
  });
  try {
    await server.prepare();
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

interface Layout {
  readonly assets: string;
  readonly folder: string;
  readonly options: ApiServerOptions;
  readonly address: string;
  readonly port: number;
  readonly etcdPorts: readonly [number, number];
  readonly token: string;
}

/** A running API server. `kill()` and `start()` are a crash and what follows: same data, same port, same keys. */
export class TestApiServer implements AsyncDisposable {
  readonly url: string;
  /** Token of a user in `system:masters`. */
  readonly token: string;
  /** The certificate authority of its serving certificate. */
  readonly caFile: string;
  /** A kubeconfig of the same user. */
  readonly kubeconfig: string;
  readonly #layout: Layout;
  #client: KubeClient | undefined;
  #etcd: Child | undefined;
  #apiserver: Child | undefined;
  #controllers: Child | undefined;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.url = `https://${layout.address}:${layout.port}`;
    this.token = layout.token;
    this.caFile = join(layout.folder, 'certs', 'apiserver.crt');
    this.kubeconfig = join(layout.folder, 'kubeconfig');
  }

  /** Requests as `system:masters`. */
  get client(): KubeClient {
    if (this.#client === undefined) throw new Error('the API server has not started yet');
    return this.#client;
  }

  /** Writes keys and tokens; called once, before the first `start()`. */
  async prepare(): Promise<void> {
    const { folder } = this.#layout;
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(folder, 'tokens.csv'), `${this.token},admin,admin,system:masters\n`);
  }

  /** Starts what does not run of etcd, the API server and the controllers; waits for /readyz and namespace `default`. */
  async start(): Promise<void> {
    this.#etcd = this.#etcd?.running ? this.#etcd : this.#run('etcd', this.#etcdFlags());
    this.#apiserver = this.#apiserver?.running ? this.#apiserver : this.#run('kube-apiserver', this.#apiserverFlags());
    const server = this.#apiserver;
    const isReady = async () => {
      server.assertRunning();
      this.#client ??= new KubeClient({ url: this.url, ca: await readFile(this.caFile, 'utf8'), token: this.token });
      // It makes this namespace after it says that it is ready.
      const paths = ['/readyz', '/api/v1/namespaces/default'];
      for (const path of paths) if ((await this.#client.request('GET', path)).status !== 200) return false;
      return true;
    };
    const detail = () => server.output().slice(-4000);
    await waitFor('the API server to be ready', isReady, { timeoutMs: 60_000, detail });
    await this.writeKubeconfig(this.kubeconfig, this.token);
    if (this.#layout.options.controllerManager === true && this.#controllers?.running !== true) {
      this.#controllers = this.#run('kube-controller-manager', this.#controllerFlags());
      const defaultAccount = async () =>
        (await this.client.request('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200;
      await waitFor('the controllers to make the default service account', defaultAccount, { timeoutMs: 60_000 });
    }
  }

  /** SIGKILL for the API server and its controllers, which would come back late by themselves; etcd keeps running. */
  async kill(): Promise<void> {
    await Promise.all([this.#controllers?.kill(), this.#apiserver?.kill()]);
  }

  /** Freezes the API server: it answers nothing, and its connections stay open. */
  pause(): void {
    this.#apiserver?.signal('SIGSTOP');
  }

  resume(): void {
    this.#apiserver?.signal('SIGCONT');
  }

  /** Resident memory of the API server in bytes. */
  async memory(): Promise<number> {
    const status = await readFile(`/proc/${this.#apiserver?.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** Writes a kubeconfig for another user of this server, such as a service account, or for a proxy before it. */
  async writeKubeconfig(file: string, token: string, url = this.url): Promise<void> {
    const ca = (await readFile(this.caFile)).toString('base64');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    };
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  }

  /** Ends everything and removes the data. */
  async stop(): Promise<void> {
    this.resume();
    this.#client?.close();
    await this.kill();
    await this.#etcd?.kill();
    await rm(this.#layout.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #run(name: string, args: readonly string[]): Child {
    const { assets, folder } = this.#layout;
    return new Child({ name, command: join(assets, name), args, folder, environment: { PATH: process.env['PATH'] } });
  }

  #etcdFlags(): readonly string[] {
    const [client, peer] = this.#layout.etcdPorts.map((port) => `http://127.0.0.1:${port}`) as [string, string];
    return [
      ...[
        '--name',
        'test',
        '--data-dir',
        join(this.#layout.folder, 'etcd'),
        '--unsafe-no-fsync',
        '--log-level',
        'error',
      ],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
    ];
  }

  #apiserverFlags(): readonly string[] {
    const { folder, address, port, etcdPorts, options } = this.#layout;
    return [
      `--etcd-servers=http://127.0.0.1:${etcdPorts[0]}`,
      ...[`--bind-address=${address}`, `--advertise-address=${address}`, `--secure-port=${port}`],
      `--cert-dir=${join(folder, 'certs')}`,
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      `--service-account-issuer=${tokenIssuer}`,
      `--service-account-key-file=${join(folder, 'sa.pub')}`,
      `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112',
      '--endpoint-reconciler-type=none',
      '--allow-privileged=true',
      ...(options.controllerManager === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
      ...(options.flags ?? []),
    ];
  }

  #controllerFlags(): readonly string[] {
    return [
      `--kubeconfig=${this.kubeconfig}`,
      `--service-account-private-key-file=${join(this.#layout.folder, 'sa.key')}`,
      `--root-ca-file=${this.caFile}`,
      ...['--leader-elect=false', '--secure-port=0', '--kube-api-qps=1000', '--kube-api-burst=2000'],
      '--controllers=endpointslice-controller,replicaset-controller,deployment-controller,namespace-controller,' +
        'serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,' +
        'garbage-collector-controller,endpointslice-mirroring-controller,endpoints-controller',
    ];
  }
}
