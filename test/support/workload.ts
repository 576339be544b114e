// Workloads of a real Kubernetes mesh: a network namespace with an application and a stock Envoy, and the Pod that says so.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { rootsSecret, rootsSecretFile } from '../../config/bootstrap-discovery.ts';
import type { Child } from './child.ts';
import { startEnvoy, type TestEnvoy } from './envoy.ts';
import type { KubeClient, KubeObject } from './kube-client.ts';
import { rootCertificate } from './kubernetes-plane.ts';
import type { Pod, PodNetwork } from './netns.ts';
import { waitFor } from './wait.ts';

export interface WorkloadOptions {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Its service account, made where it is not there; the name of the workload by default. */
  readonly serviceAccount?: string;
  /** `host:port` of the control plane's secure port. */
  readonly discovery: string;
  /** Whether Envoy stands beside the application; so by default. */
  readonly sidecar?: boolean;
}

/** What the load generator counted. */
export interface LoadSummary {
  readonly sent: number;
  readonly succeeded: number;
  readonly failures: Readonly<Record<string, number>>;
}

const serverName = 'istiod.istio-system.svc';
const port = 8080;

/** A running workload; its Pod object goes with it. */
export class Workload implements AsyncDisposable {
  readonly pod: Pod;
  readonly envoy: TestEnvoy | undefined;
  readonly object: KubeObject;
  readonly #client: KubeClient;
  readonly #folder: string;

  private constructor(pod: Pod, envoy: TestEnvoy | undefined, object: KubeObject, client: KubeClient, folder: string) {
    this.pod = pod;
    this.envoy = envoy;
    this.object = object;
    this.#client = client;
    this.#folder = folder;
  }

  /**
   * Makes the Pod with the address of a new network namespace, starts an echo server on 8080, and, with the token of its
   * service account and the root certificate that the control plane put into its Kubernetes namespace, an Envoy.
   */
  static async start(network: PodNetwork, client: KubeClient, options: WorkloadOptions): Promise<Workload> {
    const pod = await network.addPod(options.name);
    const object = await createPod(client, options, pod.address);
    const folder = await mkdtemp(join(tmpdir(), 'workload-'));
    await startEcho(pod, options.name);
    const meshed = options.sidecar !== false;
    if (meshed) await pod.capture();
    const envoy = meshed ? await startSidecar(pod, client, object, folder, options) : undefined;
    await setReady(client, object, pod.address);
    return new Workload(pod, envoy, object, client, folder);
  }

  /** Starts sending requests from the application; `finish()` stops and tells what came of them. */
  async load(url: string, rate = 50): Promise<{ finish(): Promise<LoadSummary> }> {
    const args = [join(import.meta.dirname, 'load-generator.ts'), '--url', url, '--rate', String(rate)];
    const child = this.pod.start({ name: 'load', command: process.execPath, args });
    await waitFor('the load', () => child.output().includes('sending'));
    return {
      finish: async () => {
        await child.stop();
        return JSON.parse(child.output().trim().split('\n').at(-1) ?? '{}') as LoadSummary;
      },
    };
  }

  /** Ends the workload as a node that dies does: its processes and its Pod are gone at once. */
  async stop(): Promise<void> {
    await this.#client.delete(this.object).catch(() => undefined);
    await this.envoy?.stop();
    await this.pod.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A Service of all workloads with the label `app`, on port 80; its ClusterIP. */
export async function createService(client: KubeClient, namespace: string, app: string): Promise<string> {
  const service = await client.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: app, namespace },
    spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: port }] },
  });
  return (service['spec'] as { readonly clusterIP: string }).clusterIP;
}

async function createPod(client: KubeClient, options: WorkloadOptions, address: string): Promise<KubeObject> {
  const { name, namespace } = options;
  const serviceAccountName = options.serviceAccount ?? name;
  const nodeName = 'node';
  await client.applyAll([
    { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: serviceAccountName, namespace } },
  ]);
  // What the injector would put on a pod that it gives a proxy.
  const meshed = options.sidecar === false ? {} : { 'security.istio.io/tlsMode': 'istio' };
  const labels = { app: name, ...meshed, ...options.labels };
  // The address and the name of the pod differ, as they do in a cluster.
  const pod = await client.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-${address.split('.').at(-1)}`, namespace, labels },
    spec: {
      nodeName,
      serviceAccountName,
      containers: [{ name: 'app', image: 'echo', ports: [{ containerPort: port }] }],
    },
  });
  return pod;
}

async function setReady(
  client: KubeClient,
  { apiVersion, kind, metadata }: KubeObject,
  address: string,
): Promise<void> {
  await client.applyStatus({
    apiVersion,
    kind,
    metadata: { name: metadata.name, namespace: String(metadata.namespace) },
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
}

async function startEcho(pod: Pod, name: string): Promise<Child> {
  const args = [join(import.meta.dirname, 'echo-server.ts'), '--name', name, '--port', String(port)];
  const echo = pod.start({ name: `echo ${name}`, command: process.execPath, args });
  await waitFor('the application', () => echo.output().includes('listens'), { detail: () => echo.output() });
  return echo;
}

async function startSidecar(
  pod: Pod,
  client: KubeClient,
  object: KubeObject,
  folder: string,
  options: WorkloadOptions,
): Promise<TestEnvoy> {
  const { name: podName, namespace = 'default', uid } = object.metadata;
  const serviceAccount = options.serviceAccount ?? options.name;
  const bound = { name: podName, uid: String(uid) };
  const token = await client.createToken({ namespace, serviceAccount, pod: bound });
  const [tokenFile, caFile] = [join(folder, 'token'), join(folder, 'root-cert.pem')];
  await writeFile(tokenFile, token, { mode: 0o600 });
  await writeFile(caFile, await rootCertificate(client, namespace));
  await writeFile(rootsSecretFile(caFile), JSON.stringify(rootsSecret(caFile)));
  const bootstrap = buildBootstrap({
    nodeType: 'sidecar',
    address: pod.address,
    podName,
    namespace,
    serviceAccount,
    labels: { app: options.name, ...options.labels },
    workloadName: options.name,
    nodeName: 'node',
    discovery: { address: options.discovery, tls: { caFile, tokenFile, serverName } },
    admin: { address: '127.0.0.1', port: 15_000 },
  });
  const envoy = await startEnvoy({ bootstrap, name: `sidecar of ${podName}`, prefix: pod.asProxy });
  await envoy.ready();
  return envoy;
}
