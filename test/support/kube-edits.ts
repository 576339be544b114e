// Random edits of a cluster under ever-new names, the same for the same seed: objects come, change and go, and refer to
// services that are there, are gone, or were never there.
import type { KubeAnswer, KubeClient, KubeObject } from './kube-client.ts';

/** One write. A status is written where it is a subresource: a pod's. */
export interface KubeEdit {
  readonly how: 'create' | 'change' | 'status' | 'delete';
  readonly object: KubeObject;
}

export interface KubeEditsOptions {
  /** Numbers from 0 to 1; seed it. */
  readonly random: () => number;
  /** What names begin with: editors at work at the same time differ in it, so that no edit meets another's. */
  readonly prefix: string;
  readonly namespaces: readonly string[];
  /** Labels of workloads that rules may select besides pods. */
  readonly clients: readonly Readonly<Record<string, string>>[];
  /** Objects that are there after a while. */
  readonly most: number;
}

interface Live {
  readonly make: Make;
  readonly object: KubeObject;
}

/** Makes a spec, and perhaps labels, for a name; `again` where the object exists, so that what is fixed stays. */
type Make = (
  edits: KubeEdits,
  name: string,
  again?: KubeObject,
) => Omit<KubeObject, 'metadata'> & { metadata?: object };

/** The edits of one editor. */
export class KubeEdits {
  readonly #options: KubeEditsOptions;
  readonly #live: Live[] = [];
  /** Names of services, the newest last; one in advance. */
  readonly #services: string[] = [];
  #count = 0;
  #status: KubeObject | undefined;

  constructor(options: KubeEditsOptions) {
    this.#options = options;
    this.#services.push(`${options.prefix}-0`);
  }

  /** The next edit, which is counted on to succeed. */
  next(): KubeEdit {
    const status = this.#status;
    this.#status = undefined;
    if (status !== undefined) return { how: 'status', object: status };
    const { most } = this.#options;
    const level = this.#live.length / most;
    if (level === 0 || this.chance(0.7 - 0.5 * level)) return this.#create();
    return this.chance(0.5) ? this.#delete(this.below(this.#live.length)) : this.#change();
  }

  /** What takes everything away again. */
  clear(): readonly KubeEdit[] {
    this.#status = undefined;
    return Array.from({ length: this.#live.length }, () => this.#delete(0));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  chance(p: number): boolean {
    return this.#options.random() < p;
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.#options.random() * n);
  }

  /** Name of a service that is there, was there, or is the next to come. */
  service(): string {
    return this.pick(this.#services.slice(-6));
  }

  /** Labels that select something. */
  labels(): Readonly<Record<string, string>> {
    return this.chance(0.4) ? this.pick(this.#options.clients) : { app: this.service() };
  }

  /** An address of a pod, now and then one that others have too. */
  address(): string {
    return `10.1.${this.below(3)}.${1 + this.below(60)}`;
  }

  #create(): KubeEdit {
    const make = this.pick(makes);
    const name = make === service ? (this.#services.at(-1) as string) : `${this.#options.prefix}-x${this.#count++}`;
    if (make === service) {
      this.#services.push(`${this.#options.prefix}-${this.#count++}`);
      this.#services.splice(0, this.#services.length - 6);
    }
    const { metadata, ...rest } = make(this, name);
    const namespace = this.pick(this.#options.namespaces);
    const object = { ...rest, metadata: { ...metadata, name, namespace } } as KubeObject;
    this.#live.push({ make, object });
    if (object.kind === 'Pod') this.#status = podStatus(this, object);
    return { how: 'create', object };
  }

  #change(): KubeEdit {
    const { make, object } = this.pick(this.#live);
    if (object.kind === 'Pod' && this.chance(0.5)) return { how: 'status', object: podStatus(this, object) };
    const { metadata, ...rest } = make(this, object.metadata.name, object);
    return { how: 'change', object: { ...rest, metadata: { ...metadata, ...object.metadata } } as KubeObject };
  }

  #delete(at: number): KubeEdit {
    const [live] = this.#live.splice(at, 1);
    if (live === undefined) return this.#create();
    return { how: 'delete', object: live.object };
  }
}

/** Writes an edit; throws where the API server refuses it. */
export async function applyEdit(client: KubeClient, { how, object }: KubeEdit): Promise<void> {
  const path = await client.pathOf(object);
  const answer = await write(client, how, path, object);
  if (answer.status >= 300) throw new Error(`${how} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

function write(client: KubeClient, how: KubeEdit['how'], path: string, object: KubeObject): Promise<KubeAnswer> {
  const merge = 'application/merge-patch+json';
  switch (how) {
    case 'create':
      return client.request('POST', path.slice(0, path.lastIndexOf('/')), object);
    case 'change':
      return client.request('PATCH', path, object, merge);
    case 'status':
      return client.request('PATCH', `${path}/status`, { status: object['status'] }, merge);
    case 'delete':
      return client.request('DELETE', `${path}?gracePeriodSeconds=0`);
  }
}

const ports = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'http-web', port: 8080, targetPort: 8080 },
  { name: 'grpc', port: 7070, targetPort: 7070 },
  { name: 'tcp', port: 9000, targetPort: 9000 },
] as const;
const istio = 'networking.istio.io/v1';

const service: Make = (edits, name, again) => {
  const headless = { clusterIP: 'None' };
  const before = again?.['spec'] as { readonly clusterIP?: string } | undefined;
  const isHeadless = before === undefined ? edits.chance(0.15) : before.clusterIP === 'None';
  return {
    ...{ apiVersion: 'v1', kind: 'Service' },
    metadata: { annotations: { 'networking.istio.io/exportTo': edits.pick(['*', '*', '*', '.']) } },
    spec: {
      ...(isHeadless ? headless : {}),
      selector: { app: name },
      ports: ports.filter((_, i) => i === 0 || edits.chance(0.4)).map((port) => ({ ...port, protocol: 'TCP' })),
    },
  };
};

const endpointSlice: Make = (edits, _name, again) => {
  const of = (again?.metadata['labels'] as Readonly<Record<string, string>> | undefined)?.[
    'kubernetes.io/service-name'
  ];
  return {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
    metadata: { labels: { 'kubernetes.io/service-name': of ?? edits.service() } },
    ports: ports.filter(() => edits.chance(0.8)).map(({ name, targetPort: port }) => ({ name, port, protocol: 'TCP' })),
    endpoints: Array.from({ length: edits.below(4) }, () => ({
      addresses: [edits.address()],
      conditions: { ready: edits.chance(0.8) },
      ...(edits.chance(0.5) ? { zone: edits.pick(['z1', 'z2']) } : {}),
    })),
  };
};

const pod: Make = (edits, _name, again) => ({
  ...{ apiVersion: 'v1', kind: 'Pod' },
  metadata: { labels: { app: edits.service(), version: edits.pick(['v1', 'v2']) } },
  ...(again === undefined
    ? { spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 8080 }] }] } }
    : {}),
});

function podStatus(edits: KubeEdits, object: KubeObject): KubeObject {
  const ip = edits.address();
  const ready = { type: 'Ready', status: edits.chance(0.8) ? 'True' : 'False' };
  return { ...object, status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [ready] } };
}

const virtualService: Make = (edits) => ({
  ...{ apiVersion: istio, kind: 'VirtualService' },
  spec: {
    hosts: [edits.service(), ...(edits.chance(0.3) ? [`${edits.service()}.example.com`] : [])],
    http: [
      {
        timeout: `${1 + edits.below(9)}s`,
        route: [
          { destination: { host: edits.service(), ...(edits.chance(0.4) ? { subset: 'v1' } : {}) }, weight: 80 },
          { destination: { host: edits.service() }, weight: 20 },
        ],
      },
    ],
  },
});

const destinationRule: Make = (edits) => ({
  ...{ apiVersion: istio, kind: 'DestinationRule' },
  spec: {
    host: edits.service(),
    trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 + edits.below(100) } } },
    subsets: ['v1', 'v2'].slice(edits.below(3)).map((version) => ({ name: version, labels: { version } })),
  },
});

const sidecar: Make = (edits) => ({
  ...{ apiVersion: istio, kind: 'Sidecar' },
  spec: {
    workloadSelector: { labels: edits.labels() },
    egress: [{ hosts: ['./*', ...(edits.chance(0.5) ? ['*/*'] : [`*/${edits.service()}.red.svc.cluster.local`])] }],
  },
});

const serviceEntry: Make = (edits, name) => ({
  ...{ apiVersion: istio, kind: 'ServiceEntry' },
  spec: {
    hosts: [`${name}.outside.example`],
    ports: [{ number: edits.pick([80, 443, 9000]), name: 'p', protocol: edits.pick(['HTTP', 'TLS', 'TCP']) }],
    ...(edits.chance(0.5)
      ? { resolution: 'DNS', location: 'MESH_EXTERNAL' }
      : { resolution: 'STATIC', endpoints: [{ address: edits.address() }] }),
  },
});

/** Services and what stands behind them are most of what changes in a cluster. */
const makes: readonly Make[] = [
  ...[service, service, endpointSlice, endpointSlice, endpointSlice, pod, pod],
  ...[virtualService, destinationRule, sidecar, serviceEntry],
];
