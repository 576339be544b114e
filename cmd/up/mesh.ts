// The laptop mesh: a control plane on a folder, an Envoy for each workload and one as ingress, and the sample apps.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemEnvironment } from '../../certs/environment.ts';
import { isRefused } from '../../certs/refusal.ts';
import { issueToken } from '../../certs/token-issuer.ts';
import { buildBootstrap } from '../../config/bootstrap.ts';
import type { KindName } from '../../config/kinds/kinds.ts';
import { startFileSource } from '../../config/sources/files.ts';
import { MemorySource } from '../../config/sources/memory.ts';
import { validate } from '../../config/validate.ts';
import { meshConfigMapKey, meshOf } from '../../discovery/model/objects.ts';
import { type RunningApp, startApp } from '../../samples/apps/app.ts';
import { bookinfo } from '../../samples/apps/bookinfo.ts';
import { type ControlPlane, compose } from '../compose.ts';
import type { Logger } from '../log.ts';
import { readSettings } from '../settings.ts';
import { version } from '../version.ts';
import { DemoCertificates } from './demo-secrets.ts';
import { type EnvoyPlan, Envoys } from './envoys.ts';
import {
  choosePorts,
  freePort,
  gatewaysIn,
  type IngressPort,
  ingress,
  ingressObjects,
  wantedPorts,
} from './ingress.ts';
import { forwardProxyPort, type Instance, machineOf } from './machine.ts';

/** Where the laptop mesh lives. */
export interface MeshOptions {
  /** Folder of YAML. */
  readonly folder: string;
  /** Folder for certificates, sockets and logs. */
  readonly stateDir: string;
  readonly envoy: string;
  readonly log: Logger;
  /** Lifetime of workload certificates, such as `30s`. */
  readonly certificateLifetime?: string;
  /** Told of each step while the mesh comes up and of what happens later. */
  readonly onEvent: (event: string) => void;
}

/** A running laptop mesh. */
export interface LaptopMesh extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly instances: () => readonly Instance[];
  readonly ports: () => readonly IngressPort[];
  readonly envoys: () => readonly string[];
  /** Requests that an instance's app has served. */
  readonly served: (instance: string) => number;
  readonly stateDir: string;
  readonly folder: string;
}

/** Stand-ins for servers outside the mesh, by the endpoint addresses of ServiceEntries that lie in 127.0.3.0/24. */
const outsidePrefix = '127.0.3.';

/** Kinds on which it depends what runs, and on which ports. */
const followed: ReadonlySet<KindName> = new Set<KindName>([
  ...(['ConfigMap', 'Deployment', 'Gateway', 'Ingress', 'IngressClass', 'Secret', 'Service', 'ServiceEntry'] as const),
]);

/** Starts everything; resolves when the control plane serves and the Envoys have been started. */
export async function startMesh(options: MeshOptions): Promise<LaptopMesh> {
  const mesh = new Laptop(options);
  try {
    await mesh.start();
  } catch (error) {
    await mesh[Symbol.asyncDispose]();
    throw error;
  }
  return mesh;
}

class Laptop implements LaptopMesh {
  readonly stateDir: string;
  readonly folder: string;
  readonly #options: MeshOptions;
  readonly #envoys: Envoys;
  readonly #apps = new Map<string, RunningApp>();
  readonly #adminPorts = new Map<string, number>();
  readonly #tokens = new Set<string>();
  #plane: ControlPlane | undefined;
  #machine: MemorySource | undefined;
  #certificates: DemoCertificates | undefined;
  #files: AsyncDisposable | undefined;
  #instances: readonly Instance[] = [];
  #ports: readonly IngressPort[] = [];
  #securePort = 0;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: MeshOptions) {
    this.#options = options;
    this.stateDir = resolve(options.stateDir);
    this.folder = options.folder;
    this.#envoys = new Envoys({
      binary: options.envoy,
      folder: join(this.stateDir, 'envoy'),
      onExit: (name, reason, delayMs) =>
        options.onEvent(`Envoy ${name} ended (${reason}); starting it again in ${delayMs / 1000} s`),
    });
  }

  get plane(): ControlPlane {
    if (this.#plane === undefined) throw new Error('the mesh is not running');
    return this.#plane;
  }

  instances = (): readonly Instance[] => this.#instances;
  ports = (): readonly IngressPort[] => this.#ports;
  envoys = (): readonly string[] => this.#envoys.names;
  served = (instance: string): number => this.#apps.get(instance)?.served() ?? 0;

  async start(): Promise<void> {
    const { folder, log, onEvent, certificateLifetime } = this.#options;
    const flags = {
      configDir: folder,
      stateDir: this.stateDir,
      grpcAddr: '',
      secureGRPCAddr: '127.0.0.1:0',
    };
    const env = certificateLifetime === undefined ? {} : { AGENTLESS_CERT_TTL: certificateLifetime };
    const { settings } = readSettings(flags, [], env);
    await mkdir(join(this.stateDir, 'run'), { recursive: true, mode: 0o700 });
    this.#plane = await compose({ settings, log, version: version() });
    const { store } = this.#plane;
    this.#machine = new MemorySource(store.sinkOf('machine'), Date.now);
    store.sinkOf('files').status({ synced: false, connected: false, since: Date.now() });
    onEvent(`reading ${folder}`);
    this.#files = await startFileSource(
      { path: folder, check: validate, watch: true, now: Date.now },
      store.sinkOf('files'),
    );
    await this.#reconcileObjects();
    const { secure } = await this.#plane.listen();
    this.#securePort = secure?.port ?? 0;
    onEvent(`control plane serves on 127.0.0.1:${this.#securePort}`);
    await this.#reconcileProcesses();
    store.subscribe((changes) => {
      if (changes.some(({ kind }) => followed.has(kind))) this.#soon();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#files?.[Symbol.asyncDispose]();
    await this.#envoys[Symbol.asyncDispose]();
    await Promise.all([...this.#apps.values()].map((app) => app[Symbol.asyncDispose]()));
    await this.#plane?.[Symbol.asyncDispose]();
    await rm(join(this.stateDir, 'run'), { recursive: true, force: true });
  }

  #soon(): void {
    this.#running = this.#running.then(async () => {
      if (this.#closed) return;
      try {
        await this.#reconcileObjects();
        await this.#reconcileProcesses();
      } catch (error) {
        this.#options.onEvent(`cannot follow the folder: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
  }

  /** What a cluster's controllers would write. */
  async #reconcileObjects(): Promise<void> {
    const { store, settings } = this.plane;
    const gateways = gatewaysIn(store, meshOf(store.get('ConfigMap', meshConfigMapKey(settings))));
    const services = store.list('Service').filter((service) => service.metadata.name !== 'istio-ingressgateway');
    const machine = machineOf(store.list('Deployment'), services, this.#instances, this.#socketOf);
    this.#instances = machine.instances;
    this.#ports = await choosePorts(wantedPorts(gateways), this.#ports);
    const { signing } = this.plane.identity;
    if (signing === undefined) throw new Error('no certificate authority');
    this.#certificates ??= new DemoCertificates(signing.authority);
    const secrets = await this.#certificates.for(gateways, (key) => store.get('Secret', key) !== undefined);
    for (const made of secrets.made) this.#options.onEvent(`made a certificate for ${made}`);
    this.#machine?.set([...machine.objects, ...ingressObjects(this.#ports), ...secrets.objects]);
  }

  async #reconcileProcesses(): Promise<void> {
    await this.#startApps();
    const plans: EnvoyPlan[] = [];
    for (const instance of this.#instances) plans.push(await this.#sidecarPlan(instance));
    plans.push(await this.#ingressPlan());
    await this.#envoys.set(plans);
  }

  async #startApps(): Promise<void> {
    const wanted = new Map<string, () => Promise<RunningApp>>();
    for (const instance of this.#instances) {
      const handler = bookinfo[instance.image.split('/').at(-1)?.split(':')[0] ?? ''];
      if (handler === undefined || !instance.image.startsWith('meltemi.samples/')) continue;
      for (const number of instance.ports) {
        wanted.set(instance.name, () =>
          startApp(handler, {
            name: instance.labels['app'] ?? instance.name,
            version: instance.labels['version'] ?? 'v1',
            socket: this.#socketOf(instance.namespace, instance.name, number),
            proxy: { host: instance.address, port: forwardProxyPort },
          }),
        );
      }
    }
    for (const { address, port } of this.#outside()) {
      const handler = bookinfo['partner'];
      if (handler === undefined) continue;
      wanted.set(`outside ${address}:${port}`, () =>
        startApp(handler, { name: 'partner', version: 'outside', listen: { host: address, port } }),
      );
    }
    for (const [name, app] of this.#apps) {
      if (wanted.has(name)) continue;
      this.#apps.delete(name);
      await app[Symbol.asyncDispose]();
    }
    for (const [name, start] of wanted) if (!this.#apps.has(name)) this.#apps.set(name, await start());
  }

  #outside(): readonly { address: string; port: number }[] {
    return this.plane.store.list('ServiceEntry').flatMap((entry) =>
      (entry.spec?.endpoints ?? []).flatMap((endpoint) => {
        const address = endpoint.address ?? '';
        if (!address.startsWith(outsidePrefix)) return [];
        return Object.values(endpoint.ports ?? {}).map((port) => ({ address, port: Number(port) }));
      }),
    );
  }

  async #sidecarPlan(instance: Instance): Promise<EnvoyPlan> {
    const bootstrap = buildBootstrap({
      nodeType: 'sidecar',
      address: instance.address,
      podName: instance.name,
      namespace: instance.namespace,
      serviceAccount: instance.serviceAccount,
      labels: instance.labels,
      interceptionMode: 'NONE',
      ...(await this.#common(instance.name, instance.namespace, instance.serviceAccount)),
    });
    return { name: instance.name, bootstrap };
  }

  async #ingressPlan(): Promise<EnvoyPlan> {
    const bootstrap = buildBootstrap({
      nodeType: 'router',
      address: ingress.address,
      podName: ingress.name,
      namespace: ingress.namespace,
      serviceAccount: ingress.serviceAccount,
      labels: ingress.labels,
      ...(await this.#common(ingress.name, ingress.namespace, ingress.serviceAccount)),
    });
    return { name: ingress.name, bootstrap };
  }

  async #common(name: string, namespace: string, serviceAccount: string) {
    const adminPort = await this.#adminPort(name);
    return {
      proxyConfig: {},
      admin: { address: '127.0.0.1', port: adminPort },
      discovery: {
        address: `127.0.0.1:${this.#securePort}`,
        tls: {
          caFile: join(this.stateDir, 'root-cert.pem'),
          tokenFile: await this.#tokenFile(name, namespace, serviceAccount),
          serverName: `istiod.${this.plane.settings.systemNamespace}.svc`,
        },
      },
    };
  }

  /** A token as the kubelet would mount it. */
  async #tokenFile(name: string, namespace: string, serviceAccount: string): Promise<string> {
    const key = this.plane.identity.tokenKey;
    if (key === undefined) throw new Error('no token key');
    const request = { namespace, serviceAccount, audience: 'istio-ca', lifetimeSeconds: 7 * 24 * 3600, podName: name };
    const file = join(this.stateDir, 'run', `${namespace}-${name}.token`);
    if (!this.#tokens.has(file)) {
      const token = await issueToken(key, request, systemEnvironment);
      if (isRefused(token)) throw new Error(`token for ${namespace}/${serviceAccount}: ${token.reason}`);
      await writeFile(file, token, { mode: 0o600 });
      this.#tokens.add(file);
    }
    return file;
  }

  async #adminPort(name: string): Promise<number> {
    const known = this.#adminPorts.get(name);
    if (known !== undefined) return known;
    const port = await freePort();
    this.#adminPorts.set(name, port);
    return port;
  }

  readonly #socketOf = (namespace: string, pod: string, port: number): string =>
    join(this.stateDir, 'run', `${namespace}-${pod}-${port}.sock`);
}
