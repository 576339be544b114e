// Rules of the policy kinds: PeerAuthentication, RequestAuthentication, AuthorizationPolicy, Telemetry, ProxyConfig.
import { describe, expect, test } from 'vitest';
import { validateObject } from '../validate.ts';

const groups: Readonly<Record<string, string>> = {
  PeerAuthentication: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  Telemetry: 'telemetry.istio.io/v1',
  ProxyConfig: 'networking.istio.io/v1beta1',
};

function findings(kind: string, spec: object, metadata: object = {}): readonly string[] {
  const raw = { apiVersion: groups[kind], kind, metadata: { name: 'a', namespace: 'ns', ...metadata }, spec };
  return validateObject(raw).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

const gatewayRef = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' };
const jwt = { issuer: 'i', jwksUri: 'https://a.example.com/keys' };
const from = (source: object) => ({ rules: [{ from: [{ source }] }] });
const to = (operation: object) => ({ rules: [{ to: [{ operation }] }] });
const when = (key: string, values: readonly string[]) => ({ rules: [{ when: [{ key, values }] }] });

describe('accepted in silence', () => {
  test.each([
    ['PeerAuthentication', {}],
    ['PeerAuthentication', { selector: { matchLabels: { a: 'b' } }, portLevelMtls: { 8080: { mode: 'STRICT' } } }],
    ['RequestAuthentication', { targetRefs: [gatewayRef], jwtRules: [jwt] }],
    ['RequestAuthentication', { jwtRules: [{ issuer: 'i', jwks: '{"keys":[{"kty":"RSA","n":"a","e":"AQAB"}]}' }] }],
    ['AuthorizationPolicy', {}],
    ['AuthorizationPolicy', { action: 'CUSTOM', provider: { name: 'p' }, rules: [{}] }],
    ['AuthorizationPolicy', from({ principals: ['*'], ipBlocks: ['10.0.0.0/8', '::1'] })],
    ['AuthorizationPolicy', from({ serviceAccounts: ['a', 'ns/a'] })],
    ['AuthorizationPolicy', to({ paths: ['/a/{*}/b/{**}', '/a*'], ports: ['80', '0'] })],
    ['AuthorizationPolicy', when('request.headers[x]', ['a'])],
    ['AuthorizationPolicy', when('destination.port', ['80'])],
    ['AuthorizationPolicy', { action: 'DENY', ...to({ methods: ['GET'], ports: ['80'] }) }],
    ['AuthorizationPolicy', { action: 'DENY', ...when('request.headers[x]', ['a']) }],
    ['Telemetry', { accessLogging: [{ filter: { expression: 'response.code >= 400' } }] }],
    ['Telemetry', { tracing: [{ customTags: { a: { literal: { value: 'b' } } }, randomSamplingPercentage: 1.5 }] }],
    ['Telemetry', { metrics: [{ overrides: [{ tagOverrides: { a: { operation: 'REMOVE' } } }] }] }],
    ['ProxyConfig', { concurrency: 0, selector: { matchLabels: { a: 'b' } } }],
  ])('%s %j', (kind, spec) => {
    expect(findings(kind, spec)).toEqual([]);
  });
});

describe('refused', () => {
  test.each([
    ['PeerAuthentication', { portLevelMtls: { 80: {} } }, 'mesh/namespace peer authentication cannot'],
    ['PeerAuthentication', { selector: { matchLabels: { a: 'b' } }, portLevelMtls: { 0: {} } }, '1..65535'],
    ['PeerAuthentication', { selector: { matchLabels: { 'a*': 'b' } } }, 'wildcard is not supported in selector'],
    ['PeerAuthentication', { selector: { matchLabels: { '': 'b' } } }, 'empty key'],
    ['RequestAuthentication', { targetRef: gatewayRef, selector: { matchLabels: { a: 'b' } } }, 'only one of'],
    ['RequestAuthentication', { targetRefs: [{ kind: 'Pod', name: 'a' }] }, 'targetRef must be to one of'],
    ['RequestAuthentication', { targetRefs: [{ ...gatewayRef, namespace: 'b' }] }, 'cross namespace'],
    ['RequestAuthentication', { targetRefs: [{ ...gatewayRef, name: '' }] }, 'targetRef name must be set'],
    ['RequestAuthentication', { jwtRules: [{}] }, 'issuer or jwksUri'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, audiences: [''] }] }, 'audience must be'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, jwksUri: 'ftp://x' }] }, 'URI scheme "ftp"'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, jwksUri: 'https://a b' }] }, 'invalid character'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, jwksUri: 'https://a:b/' }] }, 'invalid port'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, fromHeaders: [{}] }] }, 'location header name'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, fromParams: [''] }] }, 'location query'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, fromCookies: [''] }] }, 'cookie name'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, outputClaimToHeaders: [{ header: 'a' }] }] }, 'claim value'],
    [
      'RequestAuthentication',
      { jwtRules: [{ ...jwt, outputClaimToHeaders: [{ header: ':a', claim: 'b' }] }] },
      'not a valid header name',
    ],
    ['RequestAuthentication', { jwtRules: [{ issuer: 'i', jwks: 'x' }] }, 'jwks parse error'],
    ['RequestAuthentication', { jwtRules: [{ issuer: 'i', jwks: '{"keys":[{"kty":"RSA"}]}' }] }, 'index 0'],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, timeout: '1ns' }] }, 'greater than 1ms'],
    ['AuthorizationPolicy', { action: 'CUSTOM', rules: [{}] }, '`provider.name`'],
    ['AuthorizationPolicy', { provider: { name: 'a' } }, 'non CUSTOM action'],
    ['AuthorizationPolicy', { action: 'DENY' }, 'without `rules`'],
    ['AuthorizationPolicy', from({}), '`from.source` must not be empty'],
    ['AuthorizationPolicy', { rules: [{ from: [{}] }] }, '`from.source` must not be nil'],
    ['AuthorizationPolicy', { rules: [{ to: [{}] }] }, '`to.operation` must not be nil'],
    ['AuthorizationPolicy', to({ methods: [] }), '`to.operation` must not be empty'],
    ['AuthorizationPolicy', from({ namespaces: [''] }), 'found in Namespaces'],
    ['AuthorizationPolicy', from({ ipBlocks: ['1.2.3.4/33'] }), 'bad CIDR range'],
    ['AuthorizationPolicy', from({ notRemoteIpBlocks: ['1.2.3'] }), 'bad IP address'],
    ['AuthorizationPolicy', from({ serviceAccounts: ['a'], namespaces: ['b'] }), 'cannot set serviceAccounts'],
    ['AuthorizationPolicy', from({ serviceAccounts: ['a/b/c'] }), 'expected format'],
    ['AuthorizationPolicy', from({ notServiceAccounts: ['*'] }), 'wildcard not allowed'],
    ['AuthorizationPolicy', from({ serviceAccounts: [''] }), 'empty value'],
    ['AuthorizationPolicy', to({ ports: ['http'] }), 'bad port'],
    ['AuthorizationPolicy', to({ notPorts: ['65536'] }), 'bad port'],
    ['AuthorizationPolicy', to({ paths: ['/{**}/{*}'] }), 'must be the last'],
    ['AuthorizationPolicy', to({ paths: ['/{a}'] }), "'{' or '}'"],
    ['AuthorizationPolicy', to({ paths: ['/{*}/*'] }), 'not a literal'],
    ['AuthorizationPolicy', { rules: [{ when: [{ values: ['a'] }] }] }, '`key` must not be empty'],
    ['AuthorizationPolicy', when('source.ip', []), 'at least one of'],
    ['AuthorizationPolicy', when('source.ip', ['x']), 'bad IP address'],
    ['AuthorizationPolicy', when('foo', ['x']), 'unknown attribute'],
    ['AuthorizationPolicy', when('request.headers', ['x']), 'should have format a[b]'],
    ['AuthorizationPolicy', when('request.headers[x]', ['']), 'empty value'],
    [
      'AuthorizationPolicy',
      { action: 'CUSTOM', provider: { name: 'a' }, ...from({ principals: ['a'] }) },
      'From.Principals is currently not supported',
    ],
    [
      'AuthorizationPolicy',
      { action: 'CUSTOM', provider: { name: 'a' }, ...when('request.auth.claims[a]', ['a']) },
      'not supported with CUSTOM',
    ],
    ['Telemetry', { metrics: [{ providers: [{}] }] }, 'providers.name'],
    ['Telemetry', { tracing: [{ randomSamplingPercentage: 101 }] }, 'randomSamplingPercentage'],
    ['Telemetry', { tracing: [{ customTags: { a: { header: {} } } }] }, 'header tag name'],
    ['Telemetry', { metrics: [{ overrides: [{ match: { customMetric: '' } }] }] }, 'customMetric'],
    ['Telemetry', { metrics: [{ overrides: [{ tagOverrides: { a: {} } }] }] }, 'must be set when operation is UPSERT'],
    [
      'Telemetry',
      { metrics: [{ overrides: [{ tagOverrides: { a: { operation: 'REMOVE', value: 'x' } } }] }] },
      'may only be set',
    ],
    ['Telemetry', { accessLogging: [{ filter: { expression: 'a ==' } }] }, 'valid CEL'],
    ['ProxyConfig', { concurrency: -1 }, 'greater than or equal to 0'],
  ])('%s %j', (kind, spec, message) => {
    const errors = findings(kind, spec).filter((line) => line.startsWith('error'));
    expect(errors).toContainEqual(expect.stringContaining(message));
  });

  test('a dry run of AUDIT, or one that is neither true nor false', () => {
    const annotated = (value: string) => ({ annotations: { 'istio.io/dry-run': value } });
    expect(findings('AuthorizationPolicy', {}, annotated('true'))).toEqual([]);
    expect(findings('AuthorizationPolicy', {}, annotated('yes')).join()).toContain('true or false');
    expect(findings('AuthorizationPolicy', { action: 'AUDIT' }, annotated('true')).join()).toContain(
      'found action AUDIT',
    );
  });
});

describe('warned of', () => {
  test.each([
    ['PeerAuthentication', { selector: {} }, 'without labels'],
    [
      'RequestAuthentication',
      { jwtRules: [{ issuer: 'i', jwks: '{"keys":[{"kty":"RSA","n":"a","e":"b","d":"c"}]}' }] },
      'private key',
    ],
    ['RequestAuthentication', { jwtRules: [{ ...jwt, jwks: '{"keys":[]}' }] }, 'both jwks and jwksUri'],
    ['AuthorizationPolicy', { action: 'DENY', ...to({ methods: ['GET'] }) }, 'deny all traffic to TCP ports'],
    ['AuthorizationPolicy', { action: 'DENY', ...from({ requestPrincipals: ['a'] }) }, 'deny all traffic to TCP ports'],
    ['Telemetry', { tracing: [{}, {}] }, 'multiple tracing'],
    ['Telemetry', { tracing: [{ providers: [{ name: 'a' }, { name: 'b' }] }] }, 'multiple providers'],
    ['Telemetry', { metrics: [{ reportingInterval: '0s' }] }, 'greater than 1ms'],
  ])('%s %j', (kind, spec, message) => {
    const lines = findings(kind, spec);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(lines).toContainEqual(expect.stringContaining(message));
  });
});
