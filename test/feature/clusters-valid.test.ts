// Real Envoy accepts the clusters and endpoints that it would be sent, for every setting that a rule can have.
import { expect, test } from 'vitest';
import { findResource } from '../../discovery/dump.ts';
import { base, entry, nodes, pods, type Raw, raw, rule, view, web } from '../support/cluster-world.ts';
import { type ResourceSet, validateAll } from '../support/envoy-validate.ts';
import { jsonOf } from '../support/world.ts';

/** istio-proxy's filters are not in upstream's Envoy; all else is the same for both. */
const capabilities = { ...base.capabilities, istioFilters: false };

const http2Options = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicitHttpConfig: { http2ProtocolOptions: {} },
  },
};

/** The agent's SDS, which clusters refer to and bootstraps define. */
const agent = {
  name: 'sds-grpc',
  type: 'STATIC',
  loadAssignment: { clusterName: 'sds-grpc' },
  typedExtensionProtocolOptions: http2Options,
};

function resources(objects: readonly Raw[], proxy: Parameters<typeof view>[1] = {}): ResourceSet {
  const { graph, client, clusters } = view([web, ...nodes, ...pods, ...objects], { capabilities, ...proxy });
  const endpoints = [...clusters].flatMap(([name, cluster]) => {
    const found = cluster['type'] === 'EDS' ? findResource(graph, client, 'endpoint', name) : undefined;
    return found === undefined ? [] : [jsonOf(found)];
  });
  return { clusters: [agent, ...clusters.values()], endpoints };
}

const policies: Readonly<Record<string, object>> = {
  'warmed round robin': { loadBalancer: { simple: 'ROUND_ROBIN', warmup: { duration: '30s' } } },
  'ring hash': { loadBalancer: { consistentHash: { httpHeaderName: 'x', ringHash: { minimumRingSize: 64 } } } },
  maglev: { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 1021 } } } },
  'passthrough balancing': { loadBalancer: { simple: 'PASSTHROUGH' } },
  'long ejection': { outlierDetection: { baseEjectionTime: '600s', consecutive5xxErrors: 1, maxEjectionPercent: 100 } },
  'local errors': { outlierDetection: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3 } },
  'small pools': {
    connectionPool: {
      tcp: { maxConnections: 1, connectTimeout: '1s', tcpKeepalive: { probes: 3, time: '60s', interval: '5s' } },
      http: { http1MaxPendingRequests: 1, maxRequestsPerConnection: 1, idleTimeout: '5s', h2UpgradePolicy: 'UPGRADE' },
    },
    retryBudget: { percent: 10, minRetryConcurrency: 1 },
  },
  'client protocol': { connectionPool: { http: { useClientProtocol: true, maxConcurrentStreams: 10 } } },
  'simple TLS': { tls: { mode: 'SIMPLE', subjectAltNames: ['a.example.com'] } },
  'unverified TLS': { tls: { mode: 'SIMPLE', insecureSkipVerify: true } },
  'mutual TLS': {
    tls: { mode: 'MUTUAL', clientCertificate: '/c.pem', privateKey: '/k.pem', caCertificates: '/ca.pem' },
  },
  'Istio mutual TLS': { tls: { mode: 'ISTIO_MUTUAL' } },
  'PROXY protocol': { proxyProtocol: { version: 'V2' } },
};

const port = (name: string, protocol: string, number: number): object => ({ name, protocol, number });
const ports = [port('http', 'HTTP', 80), port('tls', 'TLS', 443), port('grpc', 'GRPC', 9090), port('tcp', 'TCP', 9000)];

const worlds: Readonly<Record<string, ResourceSet>> = {
  gateway: resources([], { flavour: 'gateway' }),
  'dual stack': resources([], { ipAddresses: ['10.1.0.1', 'fd00::1'] }),
  'IPv6 only': resources([], { ipAddresses: ['fd00::1'] }),
  'own application': resources([], { ipAddresses: ['10.1.0.1'], workload: { name: 'w1', namespace: 'default' } }),
  'every resolution': resources(
    ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'].map((resolution) => {
      const kind = resolution.toLowerCase().replaceAll('_', '-');
      const host = `${kind}.example.com`;
      const hosts = resolution === 'DYNAMIC_DNS' ? [`*.${host}`] : [host];
      return entry(kind, { hosts, resolution, ports });
    }),
  ),
  'ingress of a Sidecar': resources([
    raw('networking.istio.io/v1', 'Sidecar', 'default', {
      ingress: [
        { port: port('a', 'HTTP', 1), defaultEndpoint: '127.0.0.1:8080' },
        { port: port('b', 'TCP', 2), defaultEndpoint: 'unix:///tmp/app.sock' },
        { port: port('c', 'GRPC', 3), defaultEndpoint: '0.0.0.0:8081' },
      ],
      outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' },
    }),
  ]),
};

test('every kind of cluster and every policy is accepted', async () => {
  const sets = new Map(Object.entries(worlds));
  for (const [title, trafficPolicy] of Object.entries(policies)) {
    const subsets = [{ name: 'v1', labels: { app: 'web' } }];
    sets.set(title, resources([rule({ host: 'web', trafficPolicy, subsets })]));
  }
  const rejections = await validateAll(sets);
  expect(Object.fromEntries(rejections)).toEqual({});
}, 120_000);
