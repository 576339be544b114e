// Metrics of what is known of the mesh and how it came, by istiod's names (contract 4.13): objects, events, endpoints, sources.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { EndpointSlice } from '../config/kinds/endpoint-slice.ts';
import { type KindName, kinds } from '../config/kinds/kinds.ts';
import type { KubeEvent } from '../config/sources/kube.ts';
import type { ObjectChange } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';
import type { Graph } from '../discovery/graph/graph.ts';
import { serviceKeys } from '../discovery/model/services.ts';
import type { XdsStream } from '../discovery/xds/stream.ts';
import { countEndpoints, withoutPod } from './endpoint-counts.ts';
import { gaugeIn } from './metrics.ts';

/** What the metrics look at. */
export interface ClusterMetricsParts {
  readonly registry: Registry;
  readonly store: Store;
  readonly graph: Graph;
  readonly streams: () => Iterable<Pick<XdsStream, 'proxy' | 'proxyClass'>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Adds them. Gauges are looked up at each scrape. */
export function addClusterMetrics(parts: ClusterMetricsParts): void {
  const { registry, store, graph, streams, now } = parts;
  const gauge = gaugeIn(registry);
  gauge('pilot_services', 'Services known, of all registries.', () => graph.read(serviceKeys, 'all').length);
  gauge(
    'meltemi_graph_cells',
    'Values that are remembered of the mesh: what was read and made of it.',
    () => graph.size,
  );
  gauge('pilot_virt_services', 'VirtualServices known.', () => store.count('VirtualService'));
  gauge('pilot_no_ip', 'Connected sidecars whose workload no service is for.', () => unserved(streams()));
  countUpdates(registry, store);
  countLateEndpoints(registry, store);
  gaugeEndpoints(gauge, store);
  gaugeSources(registry, store, now);
  new Gauge({
    name: 'istiod_managed_clusters',
    help: 'Clusters whose API server is followed.',
    labelNames: ['cluster_type'],
    registers: [registry],
    collect() {
      this.set({ cluster_type: 'local' }, store.sources().has('kubernetes') ? 1 : 0);
      this.set({ cluster_type: 'remote' }, 0);
    },
  });
}

/** What a Kubernetes source tells of its work. */
export function kubeCounters(registry: Registry): {
  readonly heard: (kind: KindName, event: KubeEvent) => void;
  readonly failed: () => void;
} {
  const events = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['type', 'event'], registers: [registry] });
  const configuration = events('pilot_k8s_cfg_events', 'Changes of mesh configuration that the API server told of.');
  const cluster = events('pilot_k8s_reg_events', "Changes of Kubernetes' own objects that the API server told of.");
  const errors = new Counter({
    name: 'controller_sync_errors_total',
    help: 'Attempts to read or follow a kind of object that failed.',
    registers: [registry],
  });
  return {
    heard: (kind, event) => (kinds[kind].builtin ? cluster : configuration).inc({ type: kind, event }),
    failed: () => errors.inc(),
  };
}

function unserved(streams: ReturnType<ClusterMetricsParts['streams']>): number {
  return [...streams].filter(
    ({ proxy, proxyClass }) => proxy?.flavour === 'sidecar' && proxyClass?.targets.length === 0,
  ).length;
}

type Cause = 'service' | 'endpoint' | 'config' | 'namespace' | 'secret';

const causes: Partial<Record<KindName, Cause>> = {
  Service: 'service',
  ServiceEntry: 'service',
  EndpointSlice: 'endpoint',
  Pod: 'endpoint',
  Node: 'endpoint',
  WorkloadEntry: 'endpoint',
  Namespace: 'namespace',
  Secret: 'secret',
};

const updateTypes: Partial<Record<Cause, string>> = { service: 'svc', endpoint: 'eds' };

function countUpdates(registry: Registry, store: Store): void {
  const updates = new Counter({
    name: 'pilot_inbound_updates',
    help: 'Objects that changed, by what they are: config, eds (endpoints), svc and svcdelete (services).',
    labelNames: ['type'],
    registers: [registry],
  });
  const triggers = new Counter({
    name: 'pilot_push_triggers',
    help: 'Batches of changes, by what was among them.',
    labelNames: ['type'],
    registers: [registry],
  });
  store.subscribe((changes: readonly ObjectChange[]) => {
    for (const { kind, object } of changes) {
      const type = updateTypes[causes[kind] ?? 'config'] ?? 'config';
      updates.inc({ type: type === 'svc' && object === undefined ? 'svcdelete' : type });
    }
    for (const type of new Set(changes.map(({ kind }) => causes[kind] ?? 'config'))) triggers.inc({ type });
  });
}

/** Slices come before their pods, or after they have gone. Before everything was read, the order of kinds means nothing. */
function countLateEndpoints(registry: Registry, store: Store): void {
  const late = new Counter({
    name: 'pilot_k8s_endpoints_with_no_pods',
    help: 'Endpoints whose pod was not known when their slice changed.',
    registers: [registry],
  });
  store.subscribe((changes) => {
    if (!store.synced) return;
    for (const { kind, object } of changes)
      if (kind === 'EndpointSlice' && object !== undefined) late.inc(withoutPod(store, object as EndpointSlice));
  });
}

function gaugeEndpoints(gauge: (name: string, help: string, value: () => number) => void, store: Store): void {
  let counts: ReturnType<typeof countEndpoints> | undefined;
  // Counted when somebody asks, and only after something of it changed.
  store.subscribe((changes) => {
    if (changes.some(({ kind }) => ['Service', 'EndpointSlice', 'Pod'].includes(kind))) counts = undefined;
  });
  const now = (): ReturnType<typeof countEndpoints> => {
    counts ??= countEndpoints(store);
    return counts;
  };
  gauge('pilot_eds_no_instances', 'Kubernetes services without any endpoint.', () => now().emptyServices);
  for (const name of ['endpoint_no_pod', 'pilot_k8s_endpoints_pending_pod'])
    gauge(name, 'Endpoints whose pod is not known.', () => now().withoutPod);
  gauge('pilot_endpoint_not_ready', 'Endpoints that are not ready.', () => now().notReady);
}

function gaugeSources(registry: Registry, store: Store, now: () => number): void {
  const labels = { labelNames: ['source', 'kind'], registers: [registry] };
  const partsOf = () =>
    [...store.sources()].flatMap(([source, status]) =>
      Object.entries(status.parts ?? { '': status }).map(([kind, part]) => ({ labels: { source, kind }, part })),
    );
  new Gauge({
    name: 'meltemi_source_connected',
    help: 'Whether changes of a kind of object are heard of: 1, or 0 while its API server or the right to it is away.',
    ...labels,
    collect() {
      this.reset();
      for (const { labels, part } of partsOf()) this.set(labels, part.connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'meltemi_source_age_seconds',
    help: 'How old what is served of a kind of object may be: 0 while its changes are heard of.',
    ...labels,
    collect() {
      this.reset();
      for (const { labels, part } of partsOf()) this.set(labels, part.connected ? 0 : (now() - part.since) / 1000);
    },
  });
}
