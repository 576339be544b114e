// VirtualService rules as Envoy routes: matches, destinations, order, and what is decided for the client beforehand.
import { toJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { HttpMatch, HttpRoute } from '../../../../config/kinds/virtual-service.ts';
import { RouteSchema } from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { registry } from '../../../../protos/registry.ts';
import type { VirtualRoutes } from '../../../model/route.ts';
import type { RouteContext } from './context.ts';
import { hashPolicies } from './hash-policy.ts';
import { asksForSource, httpRoutes } from './http-routes.ts';

const context: RouteContext = {
  port: 80,
  tls: false,
  gateways: ['mesh'],
  namespace: 'default',
  labels: { app: 'web' },
  destinationPort: () => 80,
  hashPolicies: () => [],
  defaultRetries: { attempts: 0 },
  streamTimeouts: false,
};

const rulesOf = (...http: readonly HttpRoute[]): VirtualRoutes => ({
  key: 'default/v',
  name: 'v',
  namespace: 'default',
  creationTimestamp: '',
  hosts: ['a.com'],
  gateways: ['mesh'],
  exportTo: 'everyone',
  paths: 'istio',
  http,
  tls: [],
  tcp: [],
});

const to = (host: string, extra: object = {}) => [{ destination: { host, ...extra } }];

function routes(http: readonly HttpRoute[], over: Partial<RouteContext> = {}) {
  return httpRoutes(rulesOf(...http), { ...context, ...over }).map(
    (route) => toJson(RouteSchema, route, { registry }) as Record<string, Record<string, unknown>>,
  );
}

const matchOf = (match: HttpMatch, over: Partial<RouteContext> = {}) =>
  routes([{ match: [match], route: to('a.com') }], over)[0]?.['match'];

describe('matches', () => {
  it.each<[string, HttpMatch, object]>([
    ['a prefix', { uri: { prefix: '/a' } }, { prefix: '/a', caseSensitive: true }],
    ['a path in any case', { uri: { exact: '/A' }, ignoreUriCase: true }, { path: '/A', caseSensitive: false }],
    ['an expression', { uri: { regex: '/[a-c]+' } }, { safeRegex: { regex: '/[a-c]+' }, caseSensitive: true }],
    [
      'headers by name, pseudo headers last',
      { headers: { b: { prefix: 'x' }, a: {} }, method: { exact: 'GET' } },
      {
        prefix: '/',
        caseSensitive: true,
        headers: [
          { name: 'a', presentMatch: true },
          { name: 'b', stringMatch: { prefix: 'x' } },
          { name: ':method', stringMatch: { exact: 'GET' } },
        ],
      },
    ],
    [
      'the absence of a header, which a missing one fulfils',
      { withoutHeaders: { a: { exact: '1' } } },
      {
        prefix: '/',
        caseSensitive: true,
        headers: [{ name: 'a', stringMatch: { exact: '1' }, invertMatch: true, treatMissingHeaderAsEmpty: true }],
      },
    ],
    [
      'a query parameter',
      { queryParams: { q: { exact: '1' }, any: {} } },
      {
        prefix: '/',
        caseSensitive: true,
        queryParameters: [
          { name: 'any', presentMatch: true },
          { name: 'q', stringMatch: { exact: '1' } },
        ],
      },
    ],
  ])('take %s', (_what, match, expected) => {
    expect(matchOf(match)).toEqual(expected);
  });

  it('read prefixes as path segments where the semantics say so', () => {
    const separated = (prefix: string) => {
      const rules = rulesOf({ match: [{ uri: { prefix } }], route: to('a.com') });
      return httpRoutes({ ...rules, paths: 'separated' }, context)[0]?.match?.pathSpecifier;
    };
    expect(separated('/a/')).toEqual({ case: 'pathSeparatedPrefix', value: '/a' });
    expect(separated('/')).toEqual({ case: 'prefix', value: '/' });
  });

  it.each<[string, HttpMatch, boolean]>([
    ['another port', { port: 81 }, false],
    ['its port', { port: 80 }, true],
    ['other labels', { sourceLabels: { app: 'api' } }, false],
    ['its labels', { sourceLabels: { app: 'web' } }, true],
    ['another namespace', { sourceNamespace: 'x' }, false],
    ['another gateway', { gateways: ['ns/gw'] }, false],
    ['its gateway, whatever the labels', { gateways: ['mesh'], sourceLabels: { app: 'api' } }, true],
  ])('for %s are decided beforehand', (_what, match, kept) => {
    expect(matchOf(match) !== undefined).toBe(kept);
  });

  it('end with the first that takes everything', () => {
    const all = routes([{ route: to('first.com') }, { route: to('never.com') }]);
    expect(all.map((route) => route['route']?.['cluster'])).toEqual(['outbound|80||first.com']);
  });
});

describe('actions', () => {
  it('split by weight, leaving out what has none', () => {
    const [route] = routes([
      {
        route: [
          { destination: { host: 'a.com', subset: 'v1' }, weight: 90 },
          { destination: { host: 'a.com', subset: 'v2' }, weight: 10, headers: { request: { set: { x: '1' } } } },
          { destination: { host: 'a.com', subset: 'v3' }, weight: 0 },
        ],
      },
    ]);
    expect(route?.['route']?.['weightedClusters']).toMatchObject({
      clusters: [
        { name: 'outbound|80|v1|a.com', weight: 90 },
        { name: 'outbound|80|v2|a.com', weight: 10, requestHeadersToAdd: [{ header: { key: 'x', value: '1' } }] },
      ],
    });
    expect(route?.['decorator']).toEqual({ operation: 'v:80/*' });
  });

  it('keep a single destination whatever its weight, with its headers on the route', () => {
    const [route] = routes([
      { route: [{ destination: { host: 'a.com' }, weight: 0, headers: { request: { remove: ['y'] } } }] },
    ]);
    expect(route?.['route']?.['cluster']).toBe('outbound|80||a.com');
    expect(route?.['requestHeadersToRemove']).toEqual(['y']);
  });

  it("redirect, leaving out the scheme's own port, and answer by themselves", () => {
    const [redirect] = routes([{ redirect: { authority: 'b.com', scheme: 'https', port: 443, redirectCode: 308 } }]);
    expect(redirect?.['redirect']).toEqual({
      hostRedirect: 'b.com',
      pathRedirect: '',
      schemeRedirect: 'https',
      responseCode: 'PERMANENT_REDIRECT',
    });
    const [derived] = routes([{ redirect: { derivePort: 'FROM_REQUEST_PORT' } }], { port: 8080 });
    expect(derived?.['redirect']).toMatchObject({ portRedirect: 8080 });
    const [fixed] = routes([{ directResponse: { status: 418, body: { string: 'tea' } } }]);
    expect(fixed?.['directResponse']).toEqual({ status: 418, body: { inlineString: 'tea' } });
  });

  it('rewrite, mirror and limit', () => {
    const [route] = routes([
      {
        route: to('a.com'),
        timeout: '2.5s',
        rewrite: { uri: '/b', authority: 'z.com' },
        mirror: { host: 'm.com', port: { number: 81 } },
        mirrorPercentage: { value: 12.5 },
        retries: { attempts: 3, retryOn: '503,reset', perTryTimeout: '1s', retryRemoteLocalities: true },
      },
    ]);
    expect(route?.['route']).toMatchObject({
      timeout: '2.500s',
      maxGrpcTimeout: '2.500s',
      prefixRewrite: '/b',
      hostRewriteLiteral: 'z.com',
      requestMirrorPolicies: [
        {
          cluster: 'outbound|81||m.com',
          runtimeFraction: { defaultValue: { numerator: 125000, denominator: 'MILLION' } },
        },
      ],
      retryPolicy: {
        numRetries: 3,
        retryOn: 'reset,retriable-status-codes',
        retriableStatusCodes: [503],
        perTryTimeout: '1s',
        retryPriority: { name: 'envoy.retry_priorities.previous_priorities' },
      },
    });
  });

  it('inject faults and answer preflights by filter configuration of the route', () => {
    const [route] = routes([
      {
        route: to('a.com'),
        fault: {
          abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } },
          delay: { fixedDelay: '1s', percent: 5 },
        },
        corsPolicy: { allowOrigins: [{ exact: 'https://a.com' }], maxAge: '1h', unmatchedPreflights: 'IGNORE' },
      },
    ]);
    expect(route?.['typedPerFilterConfig']?.['envoy.filters.http.fault']).toMatchObject({
      abort: { grpcStatus: 14, percentage: { numerator: 1000000, denominator: 'MILLION' } },
      delay: { fixedDelay: '1s', percentage: { numerator: 5 } },
    });
    expect(route?.['typedPerFilterConfig']?.['envoy.filters.http.cors']).toMatchObject({
      allowOriginStringMatch: [{ exact: 'https://a.com' }],
      maxAge: '3600',
      forwardNotMatchingPreflights: false,
    });
  });

  it('bind requests to hosts by what the destination hashes', () => {
    const [route] = routes([{ route: to('a.com') }], {
      hashPolicies: () => hashPolicies({ httpCookie: { name: 'c', ttl: '0s' } }),
    });
    expect(route?.['route']?.['hashPolicy']).toEqual([{ cookie: { name: 'c', ttl: '0s' } }]);
  });

  it('leave out rules that lead nowhere', () => {
    expect(routes([{}, { route: [] }])).toEqual([]);
  });
});

it("knows whether a client's own labels or namespace matter", () => {
  expect(asksForSource(rulesOf({ match: [{ uri: { prefix: '/' } }] }))).toBe(false);
  expect(asksForSource(rulesOf({ match: [{ sourceLabels: { a: 'b' } }] }))).toBe(true);
  expect(asksForSource(rulesOf({ match: [{ sourceNamespace: 'x' }] }))).toBe(true);
});
