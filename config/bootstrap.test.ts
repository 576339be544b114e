// Tables for the bootstrap of an agentless Envoy.
import { describe, expect, test } from 'vitest';
import { type BootstrapOptions, buildBootstrap } from './bootstrap.ts';
import { rootsSecret, rootsSecretFile } from './bootstrap-discovery.ts';

const base: BootstrapOptions = {
  nodeType: 'sidecar',
  address: '10.0.0.1',
  podName: 'reviews-1',
  namespace: 'shop',
  serviceAccount: 'reviews',
  labels: { version: 'v1', app: 'reviews' },
  admin: { address: '127.0.0.1', port: 15000 },
  discovery: { address: 'istiod.istio-system.svc:15010' },
};

function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((v, key) => (v as Record<string | number, unknown> | undefined)?.[key], value);
}

describe('node', () => {
  test('has an id of four parts, the service and namespace as cluster, and sorted labels', () => {
    const node = buildBootstrap(base)['node'];
    expect(at(node, 'id')).toBe('sidecar~10.0.0.1~reviews-1.shop~shop.svc.cluster.local');
    expect(at(node, 'cluster')).toBe('reviews.shop');
    expect(JSON.stringify(at(node, 'metadata', 'LABELS'))).toBe('{"app":"reviews","version":"v1"}');
    expect(at(node, 'metadata', 'INTERCEPTION_MODE')).toBe('REDIRECT');
  });

  test('lets given metadata win', () => {
    const node = buildBootstrap({ ...base, metadata: { CLUSTER_ID: 'west' } })['node'];
    expect(at(node, 'metadata', 'CLUSTER_ID')).toBe('west');
  });
});

describe('discovery', () => {
  test('uses a static HTTP/2 cluster for plaintext', () => {
    const bootstrap = buildBootstrap({ ...base, discovery: { address: '[::1]:15010' } });
    const grpc = at(bootstrap, 'dynamic_resources', 'ads_config', 'grpc_services', 0);
    expect(grpc).toEqual({ envoy_grpc: { cluster_name: 'xds-grpc', authority: '::1' } });
    expect(at(bootstrap, 'static_resources', 'clusters', 0)).not.toHaveProperty('transport_socket');
    const endpoint = at(bootstrap, 'static_resources', 'clusters', 0, 'load_assignment', 'endpoints', 0);
    expect(at(endpoint, 'lb_endpoints', 0, 'endpoint', 'address', 'socket_address')).toEqual({
      address: '::1',
      port_value: 15010,
    });
  });

  test.each<[address: string, tls: object, host: string, port: number]>([
    ['istiod', {}, 'istiod', 15010],
    ['istiod', { tls: { caFile: '/ca' } }, 'istiod', 15012],
    ['fd00::1', {}, 'fd00::1', 15010],
    ['istiod:http', {}, 'istiod:http', 15010],
  ])('finds %s with a port of its own: %j', (address, more, host, port) => {
    const bootstrap = buildBootstrap({ ...base, discovery: { address, ...more } });
    const endpoint = at(bootstrap, 'static_resources', 'clusters', 0, 'load_assignment', 'endpoints', 0);
    expect(at(endpoint, 'lb_endpoints', 0, 'endpoint', 'address', 'socket_address')).toEqual({
      address: host,
      port_value: port,
    });
  });

  const tlsOf = (discovery: BootstrapOptions['discovery']) =>
    at(buildBootstrap({ ...base, discovery }), 'static_resources', 'clusters', 0, 'transport_socket', 'typed_config');

  test.each([
    ['istiod.istio-system.svc:15012', {}, 'istiod.istio-system.svc', 'DNS', 'istiod.istio-system.svc'],
    ['c:15012', { serverName: 'istiod' }, 'istiod', 'DNS', 'istiod'],
    ['[fd00::1]:15012', {}, undefined, 'IP_ADDRESS', 'fd00::1'],
  ])('verifies with TLS whom it reaches: %s %j', (address, more, sni, sanType, name) => {
    const tls = tlsOf({ address, tls: { caFile: '/ca/root.pem', ...more } });
    const context = at(tls, 'common_tls_context', 'combined_validation_context');
    expect(at(tls, 'sni')).toBe(sni);
    expect(at(context, 'default_validation_context', 'match_typed_subject_alt_names')).toEqual([
      { san_type: sanType, matcher: { exact: name } },
    ]);
    const roots = at(context, 'validation_context_sds_secret_config');
    expect(at(roots, 'sds_config', 'path_config_source', 'path')).toBe(rootsSecretFile('/ca/root.pem'));
    const secret = at(rootsSecret('/ca/root.pem'), 'resources', 0);
    expect(at(secret, 'name')).toBe(at(roots, 'name'));
    expect(at(secret, 'validation_context', 'trusted_ca', 'filename')).toBe('/ca/root.pem');
  });

  test('takes the token from its file, whatever the file is called', () => {
    const tls = { caFile: '/ca', tokenFile: '/run/a"b\\c\n/token' };
    const bootstrap = buildBootstrap({ ...base, discovery: { address: 'c:15012', tls } });
    const options = at(bootstrap, 'static_resources', 'clusters', 0, 'typed_extension_protocol_options');
    const filter = at(options, 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions', 'http_filters', 0);
    const code = at(filter, 'typed_config', 'default_source_code', 'inline_string');
    expect(code).toContain('io.open("/run/a\\034b\\092c\\010/token", "r")');
  });
});

describe('own listeners', () => {
  test('are made only where asked for, each answering one path through the admin interface', () => {
    const bootstrap = buildBootstrap({ ...base, health: { address: '0.0.0.0', port: 15021 } });
    expect(at(bootstrap, 'static_resources', 'listeners', 'length')).toBe(1);
    expect(at(bootstrap, 'static_resources', 'listeners', 0, 'address', 'socket_address', 'port_value')).toBe(15021);
    expect(at(bootstrap, 'static_resources', 'clusters', 0, 'name')).toBe('admin');
  });
});

describe('tags of statistics', () => {
  test('split names that end in a semicolon', () => {
    const tags = at(buildBootstrap(base), 'stats_config', 'stats_tags') as { tag_name: string; regex: string }[];
    const match = (tag: string, name: string) =>
      new RegExp(tags.find((t) => t.tag_name === tag)?.regex ?? '(?!)').exec(name);
    expect(match('cluster_name', 'cluster.outbound|80||a.b.svc;.upstream_rq_200')?.[2]).toBe('outbound|80||a.b.svc');
    expect(match('cluster_name', 'cluster.xds-grpc.upstream_cx_total')).toBe(null);
    expect(match('response_code', 'cluster.x;.upstream_rq_503')?.[2]).toBe('503');
    expect(match('http_conn_manager_prefix', 'http.inbound_0.0.0.0_80;.downstream_rq_total')?.[2]).toBe(
      'inbound_0.0.0.0_80',
    );
  });
});
