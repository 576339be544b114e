// Metrics by istiod's names (contract 4.13), made of what the parts count.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type CitadelCounter, type Count, citadelCounters } from '../certs/metrics.ts';
import type { XdsMetrics } from '../discovery/xds/metrics.ts';
import { type CallBegan, grpcMetrics } from './grpc-metrics.ts';

/** All metrics of the process. */
export interface Metrics {
  readonly registry: Registry;
  readonly xds: XdsMetrics;
  readonly citadel: Count;
  readonly grpc: CallBegan;
  /** Adds a gauge whose value is asked for at each scrape; undefined: it is not shown. */
  readonly gauge: (name: string, help: string, value: () => number | undefined) => void;
}

const seconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30];
const shortTypes: Readonly<Record<string, string>> = {
  'type.googleapis.com/envoy.config.cluster.v3.Cluster': 'cds',
  'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment': 'eds',
  'type.googleapis.com/envoy.config.listener.v3.Listener': 'lds',
  'type.googleapis.com/envoy.config.route.v3.RouteConfiguration': 'rds',
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret': 'sds',
  'type.googleapis.com/istio.networking.nds.v1.NameTable': 'nds',
};

/** Creates the metrics. `version` becomes a label of istio_build and pilot_info. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  // Milliseconds, and the least that nodejs_eventloop_lag_* can be: each look wakes the process.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
  new Gauge({
    name: 'istio_build',
    help: 'Build of the component.',
    labelNames: ['component', 'tag'],
    registers: [registry],
  }).set({ component: 'pilot', tag: version }, 1);
  new Gauge({
    name: 'pilot_info',
    help: 'Version of the control plane.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  const gauge = gaugeIn(registry);
  gauge('istiod_uptime_seconds', 'Seconds since the process started.', () => process.uptime());
  const grpc = grpcMetrics(registry);
  return {
    registry,
    xds: xdsMetrics(registry, grpc),
    grpc,
    citadel: citadelCount(registry),
    gauge,
  };
}

/** Adds gauges to a registry, as `Metrics.gauge` does. */
export function gaugeIn(registry: Registry): Metrics['gauge'] {
  return (name, help, value) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const now = value();
        if (now === undefined) this.remove();
        else this.set(now);
      },
    });
  };
}

function citadelCount(registry: Registry): Count {
  const counters = new Map(
    Object.entries(citadelCounters).map(([name, help]) => [
      name,
      new Counter({ name: `citadel_server_${name}`, help, registers: [registry] }),
    ]),
  );
  return (counter: CitadelCounter) => counters.get(counter)?.inc();
}

function xdsMetrics(registry: Registry, grpc: CallBegan): XdsMetrics {
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
  const histogram = (
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames: readonly string[] = [],
  ): Histogram =>
    new Histogram({ name, help, buckets: [...buckets], labelNames: [...labelNames], registers: [registry] });
  const streams = new Gauge({
    name: 'pilot_xds',
    help: 'Connected xDS clients.',
    labelNames: ['variant'],
    registers: [registry],
  });
  const pushes = counter('pilot_xds_pushes', 'Responses sent, by type.', ['type']);
  const sizes = histogram(
    'pilot_xds_config_size_bytes',
    'Size of responses.',
    [1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000],
    ['type'],
  );
  const sendTime = histogram('pilot_xds_send_time', 'Seconds until the transport took a response.', seconds);
  const rejects = counter('pilot_total_xds_rejects', 'Responses that clients rejected, by type.', ['type']);
  const byType = new Map(
    ['cds', 'eds', 'lds', 'rds'].map((type) => [
      type,
      counter(`pilot_xds_${type}_reject`, `Rejected ${type.toUpperCase()} responses.`),
    ]),
  );
  const stale = counter('pilot_xds_expired_nonce', 'Requests with an old nonce.', ['type']);
  const timeouts = counter('pilot_xds_write_timeout', 'Clients that stopped reading.');
  const errors = counter('pilot_total_xds_internal_errors', 'Errors while making or sending resources.');
  const refused = counter('meltemi_xds_streams_refused', 'Streams refused or ended by the server, by gRPC status.', [
    'status',
  ]);
  const largest = new Gauge({
    name: 'pilot_xds_recv_max',
    help: 'Largest request received, in bytes.',
    registers: [registry],
  });
  const pushTime = histogram(
    'pilot_xds_push_time',
    'Seconds from taking changes until every stream was told.',
    seconds,
  );
  const queueTime = histogram('pilot_proxy_queue_time', 'Seconds from a change until its push began.', seconds);
  const debounceTime = histogram(
    'pilot_debounce_time',
    'Seconds from the first of some changes until they were taken together.',
    seconds,
  );
  const settleTime = histogram(
    'pilot_pushcontext_init_seconds',
    'Seconds until what all proxies share had taken up some changes.',
    seconds,
  );
  const convergence = histogram(
    'pilot_proxy_convergence_time',
    'Seconds from a change until a proxy had been sent all it was owed.',
    seconds,
  );
  let received = 0;
  const short = (typeUrl: string): string => shortTypes[typeUrl] ?? 'other';
  return {
    streamOpened: (variant) => streams.inc({ variant }),
    streamClosed: (variant) => streams.dec({ variant }),
    streamRefused: (status) => refused.inc({ status }),
    sent: (typeUrl, bytes) => {
      pushes.inc({ type: short(typeUrl) });
      sizes.observe({ type: typeUrl }, bytes);
    },
    sendTime: (ms) => sendTime.observe(ms / 1000),
    rejected: (typeUrl) => {
      rejects.inc({ type: short(typeUrl) });
      byType.get(short(typeUrl))?.inc();
    },
    staleNonce: (typeUrl) => stale.inc({ type: short(typeUrl) }),
    writeTimeout: () => timeouts.inc(),
    internalError: () => errors.inc(),
    received: (bytes) => {
      received = Math.max(received, bytes);
      largest.set(received);
    },
    pushTime: (ms) => pushTime.observe(ms / 1000),
    queueTime: (ms) => {
      queueTime.observe(ms / 1000);
      debounceTime.observe(ms / 1000);
    },
    settleTime: (ms) => settleTime.observe(ms / 1000),
    callBegan: (path) => grpc(path, 'bidi_stream'),
    convergenceTime: (ms) => convergence.observe(ms / 1000),
  };
}
