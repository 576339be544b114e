// Rules of VirtualService, one case each.
import { describe, expect, test } from 'vitest';
import { validateObject } from '../validate.ts';

function findingsOf(spec: object): readonly string[] {
  const raw = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a', namespace: 'ns' },
    spec,
  };
  return validateObject(raw).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

const route = [{ destination: { host: 'a.example.com' } }];
const ofHttp = (http: object) => ({ hosts: ['a.example.com'], http: [{ route, ...http }] });
const ofMatch = (match: object) => ofHttp({ match: [match] });

describe('accepted in silence', () => {
  test.each([
    ['a plain route', ofHttp({})],
    [
      'everything at once',
      ofHttp({
        match: [
          {
            uri: { prefix: '' },
            headers: { ':authority': { exact: 'a' }, 'x-a': {} },
            method: { exact: 'GET' },
            port: 80,
          },
        ],
        timeout: '5s',
        retries: { attempts: 3, perTryTimeout: '2s', retryOn: '5xx,reset,503' },
        fault: { delay: { fixedDelay: '1s', percentage: { value: 0.0001 } }, abort: { grpcStatus: 'UNAVAILABLE' } },
        corsPolicy: { allowOrigins: [{ regex: '.*' }], allowMethods: ['GET', '*'], exposeHeaders: ['*'], maxAge: '5s' },
        mirrors: [{ destination: { host: 'm' }, percentage: { value: 50 } }],
        headers: {
          request: { set: { Host: 'b', 'x-a': '100%%' }, remove: ['x-b'] },
          response: { add: { 'x-c': '%UPSTREAM_HOST%' } },
        },
      }),
    ],
    [
      'weights',
      ofHttp({
        route: [
          { ...route[0], weight: 0 },
          { ...route[0], weight: 3 },
        ],
      }),
    ],
    ['a redirect', { hosts: ['a.b'], http: [{ redirect: { port: 0 } }] }],
    ['a direct response', { hosts: ['a.b'], http: [{ directResponse: { status: 503, body: { string: 'x' } } }] }],
    ['a delegating route', { hosts: ['a.b'], gateways: ['ns/gw'], http: [{ delegate: { name: 'b' } }] }],
    ['a delegate', { http: [{ route }] }],
    ['an address as host', { hosts: ['1.2.3.4', '2001:db8::1'], http: [{ route }] }],
    [
      'claims at a gateway',
      {
        hosts: ['a.b'],
        gateways: ['gw'],
        http: [{ route, match: [{ headers: { '@request.auth.claims.group': { exact: 'x' } } }] }],
      },
    ],
    [
      'tls',
      {
        hosts: ['*.b.com'],
        tls: [{ match: [{ sniHosts: ['a.b.com', '*.c.b.com'], destinationSubnets: ['10.0.0.0/8', '::1'] }], route }],
      },
    ],
    [
      'tls of another network',
      {
        hosts: ['outbound_.80_.v1_.a.b.svc.cluster.local'],
        gateways: ['gw'],
        tls: [{ match: [{ sniHosts: ['outbound_.80_.v1_.a.b.svc.cluster.local'] }], route }],
      },
    ],
    ['export', { ...ofHttp({}), exportTo: ['.', 'other'] }],
  ])('%s', (_, spec) => {
    expect(findingsOf(spec)).toEqual([]);
  });
});

describe('refused', () => {
  test.each([
    ['no routes', { hosts: ['a.b'] }, 'spec', 'http, tcp or tls must be provided'],
    ['an empty host', { hosts: [''], http: [{ route }] }, 'spec.hosts[0]', 'empty domain name'],
    ['a bad host', { hosts: ['a_b.c'], http: [{ route }] }, 'spec.hosts[0]', 'label "a_b" invalid'],
    ['all hosts in the mesh', { hosts: ['*'], http: [{ route }] }, 'spec.hosts[0]', 'wildcard host *'],
    ['hosts that overlap', { hosts: ['*.b.com', 'a.b.com'], http: [{ route }] }, 'spec.hosts[1]', 'duplicate hosts'],
    [
      'a gateway without a name',
      { hosts: ['a.b'], gateways: ['ns/'], http: [{ route }] },
      'spec.gateways[0]',
      'cannot be empty',
    ],
    ['a delegate with gateways', { gateways: ['gw'], http: [{ route }] }, 'spec.gateways', 'must have no gateways'],
    ['a delegate that delegates', { http: [{ delegate: { name: 'b' } }] }, 'spec.http[0].delegate', 'delegate further'],
    ['a delegating route that routes', ofHttp({ delegate: { name: 'b' } }), 'spec.http[0]', 'both delegate and route'],
    ['an http route without action', { hosts: ['a.b'], http: [{}] }, 'spec.http[0]', 'is required'],
    ['redirect and route', ofHttp({ redirect: { uri: '/' } }), 'spec.http[0]', 'both route and redirect'],
    ['an empty redirect', { hosts: ['a.b'], http: [{ redirect: {} }] }, 'spec.http[0].redirect', 'must specify'],
    [
      'a redirect code',
      { hosts: ['a.b'], http: [{ redirect: { uri: '/', redirectCode: 200 } }] },
      'spec.http[0].redirect.redirectCode',
      '3xx',
    ],
    [
      'a status',
      { hosts: ['a.b'], http: [{ directResponse: { status: 99 } }] },
      'spec.http[0].directResponse.status',
      'not in range',
    ],
    [
      'a big body',
      { hosts: ['a.b'], http: [{ directResponse: { status: 200, body: { string: 'x'.repeat(1_048_577) } } }] },
      'spec.http[0].directResponse.body',
      '1MB',
    ],
    [
      'no destination',
      { hosts: ['a.b'], http: [{ route: [{}] }] },
      'spec.http[0].route[0].destination',
      'destination is required',
    ],
    [
      'all hosts as destination',
      { hosts: ['a.b'], http: [{ route: [{ destination: { host: '*' } }] }] },
      'spec.http[0].route[0].destination.host',
      'invalid destination host',
    ],
    [
      'a subset name',
      { hosts: ['a.b'], http: [{ route: [{ destination: { host: 'a', subset: '-' } }] }] },
      'spec.http[0].route[0].destination.subset',
      'subset name',
    ],
    [
      'port 0',
      { hosts: ['a.b'], http: [{ route: [{ destination: { host: 'a', port: {} } }] }] },
      'spec.http[0].route[0].destination.port.number',
      'range 1..65535',
    ],
    ['a negative weight', ofHttp({ route: [{ ...route[0], weight: -1 }] }), 'spec.http[0].route[0].weight', '< 0'],
    ['weights of 0', ofHttp({ route: [...route, ...route] }), 'spec.http[0].route', 'total destination weight'],
    ['a timeout under a millisecond', ofHttp({ timeout: '1us' }), 'spec.http[0].timeout', '1ms'],
    [
      'retries without attempts',
      ofHttp({ retries: { retryOn: '5xx' } }),
      'spec.http[0].retries',
      'attempts are set to 0',
    ],
    [
      'an unknown condition',
      ofHttp({ retries: { attempts: 1, retryOn: '5xx,monday,999' } }),
      'spec.http[0].retries.retryOn',
      '"monday" is not',
    ],
    [
      'mirror and mirrors',
      ofHttp({ mirror: { host: 'a' }, mirrors: [{ destination: { host: 'a' } }] }),
      'spec.http[0]',
      'both mirror and mirrors',
    ],
    [
      'a share over 100',
      ofHttp({ mirrorPercentage: { value: 101 } }),
      'spec.http[0].mirrorPercentage.value',
      '0 to 100',
    ],
    ['an empty fault', ofHttp({ fault: {} }), 'spec.http[0].fault', 'abort and/or a delay'],
    [
      'a gRPC status',
      ofHttp({ fault: { abort: { grpcStatus: 'BAD' } } }),
      'spec.http[0].fault.abort.grpcStatus',
      'not supported',
    ],
    [
      'a tiny percentage',
      ofHttp({ fault: { delay: { fixedDelay: '1s', percentage: { value: 0.00001 } } } }),
      'spec.http[0].fault.delay.percentage.value',
      'nor in range',
    ],
    [
      'a CORS method',
      ofHttp({ corsPolicy: { allowMethods: ['get'] } }),
      'spec.http[0].corsPolicy.allowMethods[0]',
      'HTTP method',
    ],
    [
      'an empty origin',
      ofHttp({ corsPolicy: { allowOrigins: [{}] } }),
      'spec.http[0].corsPolicy.allowOrigins[0]',
      'match type',
    ],
    ['an empty rewrite', ofHttp({ rewrite: {} }), 'spec.http[0].rewrite', 'at least one of'],
    [
      'two rewrites',
      ofHttp({ rewrite: { uri: '/', uriRegexRewrite: { match: 'a', rewrite: 'b' } } }),
      'spec.http[0].rewrite',
      'not both',
    ],
    [
      'host set twice',
      ofHttp({ rewrite: { authority: 'a' }, headers: { request: { set: { ':authority': 'b' } } } }),
      'spec.http[0]',
      'multiple times',
    ],
    [
      'a pseudo-header',
      ofHttp({ headers: { request: { set: { ':path': 'b' } } } }),
      'spec.http[0].headers.request.set.:path',
      'prefix',
    ],
    [
      'a single percent sign',
      ofHttp({ headers: { response: { set: { a: '5%' } } } }),
      'spec.http[0].headers.response.set.a',
      'single %',
    ],
    [
      'an empty header name',
      ofMatch({ headers: { '': { exact: 'a' } } }),
      'spec.http[0].match[0].headers.',
      'cannot be empty',
    ],
    ['an empty regex', ofMatch({ uri: { regex: '' } }), 'spec.http[0].match[0].uri.regex', 'should not be empty'],
    ['a regex that RE2 lacks', ofMatch({ uri: { regex: '(?=a)' } }), 'spec.http[0].match[0].uri.regex', 'uri: '],
    ['a long regex', ofMatch({ uri: { regex: 'a'.repeat(1025) } }), 'spec.http[0].match[0].uri.regex', 'too large'],
    ['a label', ofMatch({ sourceLabels: { a: '@' } }), 'spec.http[0].match[0].sourceLabels.a', 'invalid tag value'],
    [
      'claims without a gateway',
      ofMatch({ headers: { '@request.auth.claims.a': { exact: 'x' } } }),
      'spec.http[0].match[0].headers',
      'only supported for gateway',
    ],
    ['a port out of range', ofMatch({ port: 70000 }), 'spec.http[0].match[0].port', 'range'],
    [
      'an SNI host of others',
      { hosts: ['a.b'], tls: [{ match: [{ sniHosts: ['c.d'] }], route }] },
      'spec.tls[0].match[0].sniHosts[0]',
      'compatible subset',
    ],
    [
      'no SNI host',
      { hosts: ['a.b'], tls: [{ match: [{}], route }] },
      'spec.tls[0].match[0].sniHosts',
      'at least one SNI host',
    ],
    [
      'a range',
      { hosts: ['a.b'], tcp: [{ match: [{ destinationSubnets: ['1.2.3.4/33'] }], route }] },
      'spec.tcp[0].match[0].destinationSubnets[0]',
      'CIDR',
    ],
    ['no tcp route', { hosts: ['a.b'], tcp: [{}] }, 'spec.tcp[0].route', 'TCP route is required'],
    ['an export', { ...ofHttp({}), exportTo: ['~'] }, 'spec.exportTo[0]', 'exportTo'],
  ])('%s', (_, spec, path, message) => {
    expect(findingsOf(spec).filter((line) => line.startsWith(`error ${path}: `))).toContainEqual(
      expect.stringContaining(message),
    );
  });
});

describe('warned of', () => {
  test.each([
    [
      'a second rule for everything',
      { hosts: ['a.b'], http: [{ route }, { route }] },
      'spec.http[1]',
      'only the last rule',
    ],
    [
      'a condition that came before',
      {
        hosts: ['a.b'],
        http: [
          { route, match: [{ port: 80 }] },
          { route, match: [{ port: 80 }] },
        ],
      },
      'spec.http[1].match[0]',
      'duplicate',
    ],
    [
      'a longer prefix after a shorter',
      {
        hosts: ['a.b'],
        http: [
          { route, match: [{ uri: { prefix: '/a' } }] },
          { route, match: [{ uri: { prefix: '/ab' } }] },
        ],
      },
      'spec.http[1].match[0]',
      'overlapping',
    ],
    [
      'an address as SNI host',
      { hosts: ['1.2.3.4'], tls: [{ match: [{ sniHosts: ['1.2.3.4'] }], route }] },
      'spec.tls[0].match[0].sniHosts[0]',
      'SNI spec',
    ],
    ['mirrorPercent', ofHttp({ mirror: { host: 'a' }, mirrorPercent: 5 }), 'spec.http[0].mirrorPercent', 'deprecated'],
  ])('%s', (_, spec, path, message) => {
    const found = findingsOf(spec);
    expect(found.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(found.filter((line) => line.startsWith(`warning ${path}: `))).toContainEqual(
      expect.stringContaining(message),
    );
  });
});
