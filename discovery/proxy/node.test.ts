// Node messages of istio-proxy with an agent, plain Envoys, gRPC clients, and of those who send nonsense.
import { create, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import { type ParsedNode, parseNode } from './node.ts';
import type { Proxy } from './proxy.ts';

const id = 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local';

function parse(metadata: JsonObject, rest: { id?: string; extensions?: readonly string[] } = {}): ParsedNode {
  const extensions = (rest.extensions ?? []).map((name) => ({ name }));
  return parseNode(create(NodeSchema, { id: rest.id ?? id, metadata, extensions }));
}

function proxyOf(metadata: JsonObject, rest: Parameters<typeof parse>[1] = {}): Proxy {
  const parsed = parse(metadata, rest);
  if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
  return parsed.proxy;
}

describe('parseNode', () => {
  test('reads who the proxy is from id and metadata', () => {
    const proxy = proxyOf({
      NAMESPACE: 'shop',
      CLUSTER_ID: 'east',
      SERVICE_ACCOUNT: 'web',
      INSTANCE_IPS: '10.0.0.1,fd00::1',
      LABELS: { app: 'web', n: 1 },
      STATIC_LABELS: { app: 'old', tier: 'front' },
      NETWORK: 'n1',
      NODE_NAME: 'node-a',
      INTERCEPTION_MODE: 'TPROXY',
    });
    expect(proxy).toMatchObject({
      nodeId: id,
      flavour: 'sidecar',
      ipAddresses: ['10.0.0.1', 'fd00::1'],
      workload: { name: 'web-1', namespace: 'shop' },
      namespace: 'shop',
      dnsDomain: 'shop.svc.cluster.local',
      labels: { app: 'web', tier: 'front' },
      serviceAccount: 'web',
      cluster: 'east',
      network: 'n1',
      nodeName: 'node-a',
      interception: 'TPROXY',
    });
  });

  test('the namespace falls back to the DNS domain, the address to the id', () => {
    expect(proxyOf({})).toMatchObject({ namespace: 'shop', ipAddresses: ['10.0.0.1'] });
  });

  test('reads settings from strings and plain values alike', () => {
    expect(
      proxyOf({
        HTTP10: '1',
        UNPRIVILEGED_POD: 'true',
        DNS_CAPTURE: true,
        ENABLE_HBONE: 'false',
        HTTP_PROXY_PORT: '15080',
        IDLE_TIMEOUT: '1h2m3s500ms',
        POD_PORTS: '[{"name":"http","containerPort":8080},{"containerPort":1},3]',
        PROXY_CONFIG: { statusPort: 15020, a: { z: 1, b: 2 } },
        REQUESTED_NETWORK_VIEW: 'n1, n2',
        TLS_SERVER_CERT_CHAIN: '/c',
        TLS_SERVER_KEY: '/k',
        TLS_SERVER_ROOT_CERT: '/r',
        ISTIO_VERSION: '1.30.0',
      }).settings,
    ).toEqual({
      http10: true,
      unprivileged: true,
      dnsCapture: true,
      httpProxyPort: 15080,
      idleTimeoutMs: 3_723_500,
      podPorts: { http: 8080 },
      proxyConfig: '{"a":{"b":2,"z":1},"statusPort":15020}',
      networkView: ['n1', 'n2'],
      tlsServer: { certChain: '/c', key: '/k', rootCert: '/r' },
      istioVersion: '1.30.0',
    });
  });

  const withAgent = { ISTIO_VERSION: '1.30.0' };
  test.each([
    [
      'istio-proxy with its agent',
      withAgent,
      ['istio.stats', 'istio.alpn', 'envoy.bootstrap.internal_listener'],
      [true, true, true],
    ],
    ['an agent that hides extensions', withAgent, [], [true, true, true]],
    ['an agent with a plain Envoy', withAgent, ['envoy.filters.http.router'], [false, true, false]],
    ['a plain Envoy alone', {}, ['envoy.bootstrap.internal_listener'], [false, false, true]],
    ['a plain Envoy that says so', { ...withAgent, MELTEMI_AGENTLESS: 'true' }, ['x'], [false, false, false]],
  ])('capabilities of %s', (_who, metadata, extensions, [istioFilters, agentSds, internalListeners]) => {
    expect(proxyOf(metadata, { extensions }).capabilities).toEqual({ istioFilters, agentSds, internalListeners });
  });

  test('equal capabilities are one value', () => {
    expect(proxyOf(withAgent).capabilities).toBe(proxyOf({ ...withAgent, NAMESPACE: 'x' }).capabilities);
  });

  test.each([
    ['router~10.0.0.1~gw.shop~shop.svc.cluster.local', {}, 'gateway'],
    [id, { GENERATOR: 'grpc' }, 'grpc'],
  ])('flavour of %s %j', (nodeId, metadata, flavour) => {
    expect(proxyOf(metadata, { id: nodeId }).flavour).toBe(flavour);
  });

  const deep = (levels: number): JsonObject => (levels === 0 ? {} : { a: deep(levels - 1) });
  test.each<[string, string, JsonObject]>([
    ['an empty id', '', {}],
    ['three parts', 'sidecar~10.0.0.1~web-1.shop', {}],
    ['five parts', `${id}~more`, {}],
    ['an unknown type', id.replace('sidecar', 'printer'), {}],
    ['no address', id.replace('10.0.0.1', 'nowhere'), {}],
    ['one bad address', id, { INSTANCE_IPS: '10.0.0.1,10.0.0.256' }],
    ['a very long id', `sidecar~10.0.0.1~${'x'.repeat(2000)}.shop~shop.svc.cluster.local`, {}],
    ['metadata nested without end', id, deep(5000)],
    ['very many labels', id, { LABELS: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`l${i}`, ''])) }],
  ])('refuses %s', (_what, nodeId, metadata) => {
    expect(parse(metadata, { id: nodeId }).kind).toBe('invalid');
  });

  test('metadata of any type does no harm', () => {
    const odd: JsonObject = {
      NAMESPACE: ['x'],
      LABELS: 'no',
      POD_PORTS: '{not json',
      PROXY_CONFIG: 7,
      HTTP_PROXY_PORT: '99999999',
      IDLE_TIMEOUT: 'soon',
      INSTANCE_IPS: null,
      ['__proto__']: { polluted: true },
    };
    expect(proxyOf(odd)).toMatchObject({ namespace: 'shop', labels: {}, settings: {} });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
