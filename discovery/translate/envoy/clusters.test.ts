// Clusters as clients get them: by kind of service, rule, flavour and capability.
import { describe, expect, it } from 'vitest';
import { base, entry, nodes, pods, raw, rule, view, web, webCluster } from '../../../test/support/cluster-world.ts';

describe('clusters', () => {
  it('of a sidecar are those of the services it sees and the fixed ones', () => {
    expect([...view([web, ...nodes, ...pods]).clusters.keys()].sort()).toEqual([
      'BlackHoleCluster',
      'InboundPassthroughCluster',
      'PassthroughCluster',
      webCluster,
    ]);
    expect([...view([web], { flavour: 'gateway' }).clusters.keys()].sort()).toEqual(['BlackHoleCluster', webCluster]);
  });

  it('of its own application follow its targets', () => {
    const seen = view([web, ...nodes, ...pods], {
      ipAddresses: ['10.1.0.1'],
      workload: { name: 'w1', namespace: 'default' },
    });
    expect(seen.clusters.get('inbound|8080||')).toMatchObject({
      type: 'ORIGINAL_DST',
      upstreamBindConfig: { sourceAddress: { address: '127.0.0.6' } },
    });
  });

  it.each([
    ['one family unless the mesh has two', {}, undefined],
    ['both families where the mesh has two', { ISTIO_DUAL_STACK: 'true' }, ['::6']],
  ])('of an application with two addresses are reached from %s', (_what, features, extra) => {
    const ipAddresses = ['10.1.0.1', 'fd00::1'];
    const seen = view(
      [web, ...nodes, ...pods],
      { ipAddresses, workload: { name: 'w1', namespace: 'default' } },
      {},
      features,
    );
    const bind = seen.clusters.get('inbound|8080||')?.['upstreamBindConfig'] as
      | { extraSourceAddresses?: readonly { address: { address: string } }[] }
      | undefined;
    expect(bind).toMatchObject({ sourceAddress: { address: '127.0.0.6' } });
    expect(bind?.extraSourceAddresses?.map(({ address }) => address.address)).toEqual(extra);
  });

  it.each([
    ['STATIC', 'EDS'],
    ['DNS', 'STRICT_DNS'],
    ['DNS_ROUND_ROBIN', 'LOGICAL_DNS'],
    ['NONE', 'ORIGINAL_DST'],
  ])('with resolution %s are of type %s', (resolution, type) => {
    const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
    const seen = view([entry('e', { hosts: ['e.example.com'], resolution, ports })]);
    expect(seen.clusters.get('outbound|80||e.example.com')?.['type']).toBe(type);
  });

  it.each<[what: string, expected: string | undefined, setting?: object]>([
    ['in order of localities', 'd.example.com'],
    ['of the first entry among those of one locality', 'c.example.com', { 'r2/*': 100 }],
    ['that the client’s locality has a share of', 'b.example.com', { 'r3/*': 100 }],
    ['or the cluster is left out', undefined, { 'r4/*': 100 }],
  ])('by DNS_ROUND_ROBIN have one endpoint, the first %s', (_what, expected, to) => {
    const host = (name: string, metadata: object, endpoint: object) =>
      entry(
        name,
        {
          hosts: ['e.example.com'],
          resolution: 'DNS_ROUND_ROBIN',
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          endpoints: [endpoint],
        },
        { metadata },
      );
    const [older, newer] = [1, 2].map((n) => ({ creationTimestamp: `2026-01-0${n}T00:00:00Z` })) as [object, object];
    const entries = [
      host('one', newer, { address: 'a.example.com', locality: 'r2/z' }),
      host('two', newer, { address: 'b.example.com', locality: 'r3/z' }),
      host('three', older, { address: 'c.example.com', locality: 'r2/z' }),
      host('four', newer, { address: 'd.example.com', locality: 'r1/z' }),
    ];
    const distribute = rule({
      host: 'e.example.com',
      trafficPolicy: { loadBalancer: { localityLbSetting: { enabled: true, distribute: [{ from: 'r1/*', to }] } } },
    });
    const locality = { region: 'r1', zone: 'z', subzone: '' };
    const { clusters } = view([...entries, ...(to === undefined ? [] : [distribute])], { locality });
    const found = clusters.get('outbound|80||e.example.com')?.['loadAssignment'] as
      | { endpoints: readonly { lbEndpoints: readonly { endpoint: { address: object } }[] }[] }
      | undefined;
    const places = found?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints.map(({ endpoint }) => endpoint.address));
    expect(found?.endpoints.length).toBe(expected && 1);
    expect(places).toEqual(expected && [{ socketAddress: { address: expected, portValue: 80 } }]);
  });

  it('are left out where Envoy would refuse them for want of endpoints', () => {
    const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
    const seen = view([
      entry('e', { hosts: ['e.example.com'], resolution: 'DNS', ports, workloadSelector: { labels: { app: 'none' } } }),
    ]);
    expect(seen.clusters.has('outbound|80||e.example.com')).toBe(false);
  });

  it('use Istio mTLS where endpoints take it, with the identities of the service', () => {
    const cluster = view([web, ...nodes, ...pods]).clusters.get(webCluster);
    const text = JSON.stringify(cluster);
    expect(cluster?.['transportSocketMatches']).toHaveLength(2);
    expect(text).toContain('outbound_.80_._.web.default.svc.cluster.local');
    expect(text).toContain('spiffe://cluster.local/ns/default/sa/web');
    expect(text).toContain('sds-grpc');
    const plain = view([web, ...pods], {}, { enableAutoMtls: false }).clusters.get(webCluster);
    expect(plain?.['transportSocketMatches'] ?? []).toHaveLength(0);
  });

  it('give an upstream Envoy nothing that only istio-proxy has, and secrets over ADS', () => {
    const capabilities = { ...base.capabilities, istioFilters: false, agentSds: false };
    const { clusters } = view([web, ...nodes, ...pods], { capabilities });
    const text = JSON.stringify([...clusters.values()]);
    expect(text).not.toContain('metadata_exchange');
    expect(text).not.toContain('istio-peer-exchange');
    expect(text).not.toContain('sds-grpc');
    expect(JSON.stringify(clusters.get(webCluster))).toContain('"istio-http/1.1","istio","http/1.1"');
  });

  it.each([
    [{ mode: 'DISABLE' }, undefined, 'plain'],
    [{ mode: 'SIMPLE' }, 'file-root:system', 'TLS'],
    [{ mode: 'SIMPLE', caCertificates: '/ca.pem' }, 'file-root:/ca.pem', 'TLS'],
    [{ mode: 'MUTUAL', clientCertificate: '/c.pem', privateKey: '/k.pem' }, 'file-cert:/c.pem~/k.pem', 'TLS'],
    [{ mode: 'MUTUAL' }, undefined, 'plain'],
    [{ mode: 'SIMPLE', credentialName: 'secret' }, undefined, 'plain'],
    [{ mode: 'ISTIO_MUTUAL', sni: 'other' }, '"sni":"other"', 'TLS'],
  ])('with the TLS settings %j mention %s', (tls, mentioned, kind) => {
    const cluster = view([web, ...pods, rule({ host: 'web', trafficPolicy: { tls } })]).clusters.get(webCluster);
    expect(cluster?.['transportSocketMatches'] ?? []).toHaveLength(0);
    expect(cluster?.['transportSocket'] === undefined).toBe(kind === 'plain');
    if (mentioned !== undefined) expect(JSON.stringify(cluster)).toContain(mentioned);
  });

  it('take a credential from us at gateways', () => {
    const tls = { mode: 'MUTUAL', credentialName: 'secret' };
    const seen = view([web, ...pods, rule({ host: 'web', trafficPolicy: { tls } })], { flavour: 'gateway' });
    const text = JSON.stringify(seen.clusters.get(webCluster));
    expect(text).toContain('"kubernetes://secret"');
    expect(text).toContain('"kubernetes://secret-cacert"');
  });

  it.each([
    [{ simple: 'ROUND_ROBIN' }, undefined, undefined],
    [{ simple: 'RANDOM' }, 'RANDOM', undefined],
    [{ consistentHash: { useSourceIp: true } }, 'RING_HASH', { ringHashLbConfig: { minimumRingSize: '1024' } }],
    [{ consistentHash: { maglev: { tableSize: 1021 } } }, 'MAGLEV', { maglevLbConfig: { tableSize: '1021' } }],
    [
      { simple: 'LEAST_REQUEST', warmup: { duration: '10s', aggression: 2 } },
      'LEAST_REQUEST',
      {
        leastRequestLbConfig: {
          slowStartConfig: {
            slowStartWindow: '10s',
            minWeightPercent: { value: 10 },
            aggression: { defaultValue: 2 },
          },
        },
      },
    ],
    [{ simple: 'PASSTHROUGH' }, 'CLUSTER_PROVIDED', { type: 'ORIGINAL_DST' }],
  ])('balance by %j', (loadBalancer, policy, config) => {
    const cluster = view([web, rule({ host: 'web', trafficPolicy: { loadBalancer } })]).clusters.get(webCluster);
    expect(cluster?.['lbPolicy']).toBe(policy);
    if (config !== undefined) expect(cluster).toMatchObject(config);
  });

  it('have a subset each, with its own policy', () => {
    const { clusters } = view([
      web,
      rule({
        host: 'web',
        trafficPolicy: { connectionPool: { tcp: { maxConnections: 7 } } },
        subsets: [
          { name: 'v1', labels: { version: 'v1' } },
          { name: 'v2', trafficPolicy: { outlierDetection: { baseEjectionTime: '600s', minHealthPercent: 30 } } },
        ],
      }),
    ]);
    expect(clusters.get('outbound|80|v1|web.default.svc.cluster.local')).toMatchObject({
      circuitBreakers: { thresholds: [{ maxConnections: 7 }] },
    });
    // The longest ejection has to grow with the base, or Envoy refuses the cluster.
    expect(clusters.get('outbound|80|v2|web.default.svc.cluster.local')).toMatchObject({
      outlierDetection: { baseEjectionTime: '600s', maxEjectionTime: '600s' },
      commonLbConfig: { healthyPanicThreshold: { value: 30 } },
    });
  });

  it('with SNI exist at gateways that route by it', () => {
    const gateway = raw('networking.istio.io/v1', 'Gateway', 'cross', {
      selector: { istio: 'eastwest' },
      servers: [{ hosts: ['*.local'], port: { number: 15443, name: 'tls' }, tls: { mode: 'AUTO_PASSTHROUGH' } }],
    });
    const labels = { istio: 'eastwest' };
    const { clusters } = view([web, gateway], { flavour: 'gateway', labels });
    expect(clusters.get('outbound_.80_._.web.default.svc.cluster.local')?.['transportSocketMatches']).toBeUndefined();
    expect(clusters.has('outbound_.80_._.web.default.svc.cluster.local')).toBe(true);
    expect(view([web, gateway], { flavour: 'gateway' }).clusters.size).toBe(2);
  });
});
