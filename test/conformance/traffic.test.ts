// Where calls go by listeners written by hand: each step of the algorithm, and what it says where none fits.
import { expect, test } from 'vitest';
import type { ResourceJson } from '../../discovery/dump.ts';
import { type Call, type Fate, follow, goDuration } from './traffic.ts';

const call: Call = {
  address: '10.0.0.1',
  port: 80,
  path: '/',
  protocol: 'http',
  tls: 'plaintext',
  hostHeader: 'a.com',
};
const tls: Call = { ...call, tls: 'tls' };

const tcp = (cluster: string): ResourceJson => ({
  name: 'envoy.filters.network.tcp_proxy',
  typedConfig: { cluster, statPrefix: cluster },
});
const http = (config: ResourceJson): ResourceJson => ({
  name: 'envoy.filters.network.http_connection_manager',
  typedConfig: config,
});
const chain = (name: string, filterChainMatch: ResourceJson = {}, more: ResourceJson = {}): ResourceJson => ({
  name,
  filterChainMatch,
  filters: [tcp(name)],
  ...more,
});
const inspector = (what: string, more: ResourceJson = {}): ResourceJson => ({
  name: `envoy.filters.listener.${what}`,
  ...more,
});
const inspectors = [inspector('tls_inspector'), inspector('http_inspector')];
const listener = (address: string, portValue: number, more: ResourceJson = {}): ResourceJson => ({
  name: `${address}_${portValue}`,
  address: { socketAddress: { address, portValue } },
  ...more,
});
const of = (filterChains: readonly ResourceJson[], more: ResourceJson = {}) => ({
  listeners: [listener('0.0.0.0', 80, { filterChains, ...more })],
  routes: [],
});
const went = (asked: Call, given: Parameters<typeof follow>[1], strict = true): Fate => follow(asked, given, strict);

test('application protocols are told in TLS only', () => {
  const { error } = went({ ...call, alpn: 'h2' }, of([]));
  expect(error).toBe('invalid call, ALPN can only be sent in TLS requests');
});

test.each<[what: string, more: Partial<Call>, want: string | undefined]>([
  ['its own address', {}, '10.0.0.1_80'],
  ['any address', { address: '10.0.0.2' }, '0.0.0.0_80'],
  ['no listener of its port', { port: 81 }, 'virtualOutbound'],
  ['inbound', { callMode: 'inbound' }, 'virtualInbound'],
])('the listener of %s', (_what, more, want) => {
  const listeners = [
    listener('0.0.0.0', 15001, { name: 'virtualOutbound' }),
    listener('0.0.0.0', 15006, { name: 'virtualInbound' }),
    listener('0.0.0.0', 80),
    listener('10.0.0.1', 80),
  ];
  expect(went({ ...call, ...more }, { listeners, routes: [] }).listenerMatched).toBe(want);
});

test('without a listener nothing is reached', () => {
  expect(went(call, { listeners: [], routes: [] })).toEqual({ error: 'no listener matched' });
});

const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen });
const chains = [
  chain('other port', { destinationPort: 81 }),
  chain('wide', { prefixRanges: [range('10.0.0.0', 8)] }),
  chain('narrow', { prefixRanges: [range('10.1.0.0', 16)] }),
  chain('six', { prefixRanges: [range('2001:db8::', 32)] }),
];
const names = [
  chain('any name'),
  chain('exact', { serverNames: ['x.a.com'] }),
  chain('wildcard', { serverNames: ['*.com'] }),
  chain('longer wildcard', { serverNames: ['*.a.com'] }),
];
const protocols = [
  chain('tls', { transportProtocol: 'tls' }),
  chain('h2', { transportProtocol: 'tls', applicationProtocols: ['h2'] }),
  chain('raw', { transportProtocol: 'raw_buffer' }),
  chain('raw http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] }),
];
const inspected = { listenerFilters: inspectors };
const port = (start: number, end: number) => ({ destinationPortRange: { start, end } });
const disabled = (filterDisabled: ResourceJson) => ({
  listenerFilters: [inspector('tls_inspector', { filterDisabled })],
});

test.each<[what: string, asked: Call, filterChains: readonly ResourceJson[], more: ResourceJson, want: string]>([
  ['a port', { ...call, port: 80 }, [chain('80', { destinationPort: 80 }), chain('rest')], {}, '80'],
  ['no port', call, [chain('81', { destinationPort: 81 }), chain('rest')], {}, 'rest'],
  ['the longest range', { ...call, address: '10.1.2.3' }, chains, {}, 'narrow'],
  ['a range', { ...call, address: '10.2.2.3' }, chains, {}, 'wide'],
  ['a range of IPv6', { ...call, address: '2001:db8::1' }, chains, {}, 'six'],
  ['an exact name', { ...tls, sni: 'x.a.com' }, names, inspected, 'exact'],
  ['the longest wildcard', { ...tls, sni: 'y.a.com' }, names, inspected, 'longer wildcard'],
  ['a wildcard', { ...tls, sni: 'b.com' }, names, inspected, 'wildcard'],
  ['no such name', { ...tls, sni: 'b.org' }, names, inspected, 'any name'],
  ['no name', tls, names, inspected, 'any name'],
  ['TLS', tls, protocols, inspected, 'tls'],
  ['mutual TLS', { ...tls, tls: 'mtls' }, protocols, inspected, 'tls'],
  ['TLS with a protocol', { ...tls, alpn: 'h2' }, protocols, inspected, 'h2'],
  ['plain HTTP', call, protocols, inspected, 'raw http'],
  ['plain HTTP/2', { ...call, protocol: 'http2' }, protocols, inspected, 'raw http'],
  ['plain TCP', { ...call, protocol: 'tcp' }, protocols, inspected, 'raw'],
  ['TLS that nobody inspects', { ...tls, alpn: 'h2' }, protocols, {}, 'raw'],
  ['an inspector off here', tls, protocols, disabled(port(80, 81)), 'raw'],
  ['an inspector off before here', tls, protocols, disabled(port(0, 80)), 'tls'],
  ['a range without start', tls, protocols, disabled({ destinationPortRange: { end: 81 } }), 'raw'],
  ['off in one of two ranges', tls, protocols, disabled({ orMatch: { rules: [port(1, 2), port(80, 81)] } }), 'raw'],
  ['off in both ranges', tls, protocols, disabled({ andMatch: { rules: [port(1, 2), port(80, 81)] } }), 'tls'],
  ['off but here', tls, protocols, disabled({ notMatch: port(80, 81) }), 'tls'],
  ['off everywhere', tls, protocols, disabled({ anyMatch: true }), 'raw'],
])('the chain of %s', (_what, asked, filterChains, more, want) => {
  expect(went(asked, of(filterChains, more)).filterChainMatched).toBe(want);
});

test.each<[what: string, filterChains: readonly ResourceJson[], more: ResourceJson, want: Fate]>([
  ['two', [chain('a'), chain('b')], {}, { error: 'multiple filter chains matched' }],
  ['none', [chain('a', { destinationPort: 1 })], {}, { error: 'no filter chains matched' }],
  ['the default', [], { defaultFilterChain: chain('rest') }, { filterChainMatched: 'rest', clusterMatched: 'rest' }],
])('where %s chain is left', (_what, filterChains, more, want) => {
  expect(went(call, of(filterChains, more))).toMatchObject(want);
});

const socket = (secret: string, requireClientCertificate?: boolean): ResourceJson => ({
  transportSocket: {
    typedConfig: {
      commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: secret }] },
      requireClientCertificate,
    },
  },
});
const mtls: Call = { ...call, tls: 'mtls' };
test.each<[what: string, asked: Call, more: ResourceJson, want: string | undefined]>([
  ['plaintext to TLS', call, socket('default', true), 'invalid TLS'],
  ['TLS to mutual TLS', tls, socket('default', true), 'invalid mTLS'],
  ['mutual TLS to mutual TLS', mtls, socket('default', true), undefined],
  ['TLS to TLS', tls, socket('kubernetes://web'), undefined],
  ['mutual TLS to TLS', mtls, socket('default'), 'invalid mTLS'],
  ['mutual TLS of another secret', mtls, socket('file', true), 'invalid mTLS'],
  ['mutual TLS of the secret named', { ...mtls, mtlsSecretConfigName: 'file' }, socket('file', true), undefined],
  ['mutual TLS that passes', mtls, {}, undefined],
])('%s', (_what, asked, more, want) => {
  expect(went(asked, of([chain('c', {}, more)])).error).toBe(want);
});

const routes = (name: string, virtualHosts: readonly ResourceJson[], more: ResourceJson = {}) => ({
  ...of([chain('', {}, { filters: [http({ rds: { routeConfigName: 'r' }, httpFilters: [{ name: 'router' }] })] })]),
  routes: [{ name, virtualHosts, ...more }],
});
const to = (cluster: string, match: ResourceJson = { prefix: '/' }): ResourceJson => ({ match, route: { cluster } });
const host = (name: string, domains: readonly string[], more: ResourceJson = {}): ResourceJson => ({
  name,
  domains,
  routes: [to(name)],
  ...more,
});

test('HTTP goes by the routes that the listener names, or its own', () => {
  const reached = { listenerMatched: '0.0.0.0_80', filterChainMatched: '', virtualHostMatched: 'h' };
  expect(went(call, routes('r', [host('h', ['*'])]))).toEqual({
    ...reached,
    routeConfigMatched: 'r',
    routeMatched: '',
    clusterMatched: 'h',
    extra: {
      networkFilters: ['envoy.filters.network.http_connection_manager'],
      httpFilters: ['router'],
      timeout: '0s',
      prefixRewrite: '',
      hostRewrite: '',
    },
  });
  const inline = of([chain('', {}, { filters: [http({ routeConfig: { virtualHosts: [host('h', ['*'])] } })] })]);
  expect(went(call, inline)).toMatchObject({ ...reached, routeConfigMatched: '', clusterMatched: 'h' });
  expect(went(call, routes('other', [])).error).toBe('no route configuration r');
});

test.each<[what: string, asked: Call, virtualHosts: readonly ResourceJson[], want: string]>([
  ['TCP', { ...call, protocol: 'tcp' }, [host('h', ['*'])], 'protocol error'],
  ['TLS that nobody ends', tls, [host('h', ['*'])], 'protocol error'],
  ['an unknown host', call, [host('h', ['b.com'])], 'no virtual host matched'],
  ['plaintext', call, [host('h', ['*'], { requireTls: 'ALL' })], 'tls required, sending 301'],
  ['another path', call, [host('h', ['*'], { routes: [to('c', { path: '/a' })] })], 'no route matched'],
])('HTTP refuses %s', (_what, asked, virtualHosts, want) => {
  expect(went(asked, routes('r', virtualHosts)).error).toBe(want);
});

const domains = ['a.com', 'a.com:80', '*.com', '*.a.com', 'a.*', 'a.b.*', '*'];
test.each<[hostHeader: string, want: string]>([
  ['a.com', 'a.com'],
  ['a.com:80', 'a.com:80'],
  ['x.a.com', '*.a.com'],
  ['b.com', '*.com'],
  ['a.org', 'a.*'],
  ['a.b.org', 'a.b.*'],
  ['a.b.com', '*.com'],
  ['.com', '*'],
  ['b.com:80', '*'],
  ['', '*'],
])('the virtual host of %j', (hostHeader, want) => {
  const hosts = domains.map((domain) => host(domain, [domain]));
  expect(went({ ...call, hostHeader }, routes('r', hosts)).virtualHostMatched).toBe(want);
});

test('the port of a host can be left out of account', () => {
  const given = routes('r', [host('h', ['a.com'])], { ignorePortInHostMatching: true });
  expect(went({ ...call, hostHeader: 'a.com:1234' }, given).virtualHostMatched).toBe('h');
});

const header = (name: string, more: ResourceJson): ResourceJson => ({ prefix: '/', headers: [{ name, ...more }] });
const exact = (value: string) => ({ stringMatch: { exact: value } });
const query = (more: ResourceJson): ResourceJson => ({ prefix: '/', queryParameters: [{ name: 'q', ...more }] });
const regex = (pattern: string) => ({ safeRegex: { regex: pattern } });

/** What a route takes: `loosely` where only the path counts. */
test.each<[what: string, match: ResourceJson, more: Partial<Call>, strictly: boolean, loosely: boolean]>([
  ['a path', { path: '/a' }, { path: '/a' }, true, true],
  ['a path and more', { path: '/a' }, { path: '/ab' }, false, false],
  ['a path with a query', { path: '/a' }, { path: '/a?q=1' }, true, false],
  ['a prefix', { prefix: '/a' }, { path: '/ab' }, true, true],
  ['another case', { prefix: '/A' }, { path: '/ab' }, false, false],
  ['any case', { prefix: '/A', caseSensitive: false }, { path: '/ab' }, true, false],
  ['a directory', { pathSeparatedPrefix: '/a' }, { path: '/a/b' }, true, true],
  ['the directory itself', { pathSeparatedPrefix: '/a' }, { path: '/a' }, true, true],
  ['half a directory', { pathSeparatedPrefix: '/a' }, { path: '/ab' }, false, true],
  ['a pattern', regex('/[ab]+'), { path: '/ab' }, true, true],
  ['a pattern of a part', regex('/[ab]+'), { path: '/abc' }, false, true],
  ['CONNECT', { connectMatcher: {} }, {}, false, false],
  ['a header', header('x', exact('1')), { headers: { X: ['1'] } }, true, true],
  ['another header', header('x', exact('1')), { headers: { X: ['2'] } }, false, true],
  ['no header', header('x', exact('1')), {}, false, true],
  ['not this header', header('x', { ...exact('1'), invertMatch: true }), { headers: { x: ['2'] } }, true, true],
  ['none instead of not this', header('x', { ...exact('1'), invertMatch: true }), {}, false, true],
  [
    'none that counts as empty',
    header('x', { ...exact('1'), invertMatch: true, treatMissingHeaderAsEmpty: true }),
    {},
    true,
    true,
  ],
  ['any header', header('x', { presentMatch: true }), { headers: { x: ['2'] } }, true, true],
  ['a header not to be there', header('x', { presentMatch: true, invertMatch: true }), {}, true, true],
  ['a header in vain', header('x', { presentMatch: false }), { headers: { x: ['2'] } }, false, true],
  ['a start', header('x', { stringMatch: { prefix: 'ab' } }), { headers: { x: ['abc'] } }, true, true],
  ['an end', header('x', { stringMatch: { suffix: 'ab' } }), { headers: { x: ['abc'] } }, false, true],
  ['a part', header('x', { stringMatch: { contains: 'b' } }), { headers: { x: ['abc'] } }, true, true],
  [
    'a part in any case',
    header('x', { stringMatch: { contains: 'B', ignoreCase: true } }),
    { headers: { x: ['abc'] } },
    true,
    true,
  ],
  ['a pattern of a header', header('x', { stringMatch: regex('b') }), { headers: { x: ['abc'] } }, false, true],
  ['values of one header', header('x', exact('1,2')), { headers: { x: ['1', '2'] } }, true, true],
  ['the host', header(':authority', exact('a.com')), {}, true, true],
  ['the scheme', header(':scheme', exact('https')), {}, false, true],
  ['the method', header(':method', exact('GET')), {}, true, true],
  ['the path with its query', header(':path', exact('/?q=1')), { path: '/?q=1' }, true, true],
  ['a method', header(':method', exact('POST')), { headers: { ':method': ['POST'] } }, true, true],
  ['a query', query(exact('1')), { path: '/?p=2&q=1' }, true, true],
  ['another query', query(exact('1')), { path: '/?q=2' }, false, true],
  ['no query', query(exact('1')), {}, false, true],
  ['any query', query({ presentMatch: true }), { path: '/?q' }, true, true],
])('a route on %s', (_what, match, more, strictly, loosely) => {
  const given = routes('r', [host('h', ['*'], { routes: [to('first', match), to('last')] })]);
  const first = (strict: boolean) => went({ ...call, ...more }, given, strict).clusterMatched === 'first';
  expect({ strictly: first(true), loosely: first(false) }).toEqual({ strictly, loosely });
});

test.each<[what: string, action: ResourceJson, want: ResourceJson]>([
  ['a redirect', { redirect: { pathRedirect: '/b' } }, { redirect: { pathRedirect: '/b' } }],
  ['an answer', { directResponse: { status: 503 } }, { directResponse: 503 }],
  ['a rewrite', { route: { prefixRewrite: '/b', timeout: '90s' } }, { prefixRewrite: '/b', timeout: '1m30s' }],
  [
    'weights',
    { route: { weightedClusters: { clusters: [{ name: 'a', weight: 1 }, { name: 'b' }] } } },
    {
      weightedClusters: [
        { name: 'a', weight: 1 },
        { name: 'b', weight: 0 },
      ],
    },
  ],
])('a route with %s names no cluster', (_what, action, want) => {
  const given = routes('r', [host('h', ['*'], { routes: [{ name: 'n', match: { prefix: '/' }, ...action }] })]);
  expect(went(call, given)).toMatchObject({ routeMatched: 'n', clusterMatched: '', extra: want });
});

test.each([
  ['', '0s'],
  ['0.000001s', '1µs'],
  ['0.0015s', '1.5ms'],
  ['9s', '9s'],
  ['90.5s', '1m30.5s'],
  ['3600s', '1h0m0s'],
])('the duration %j is %s in Go', (duration, want) => {
  expect(goDuration(duration)).toBe(want);
});
