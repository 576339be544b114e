// Rules of Gateway, one case each.
import { describe, expect, test } from 'vitest';
import { validateObject } from '../validate.ts';

const http = { number: 80, name: 'http', protocol: 'HTTP' };
const https = { number: 443, name: 'https', protocol: 'HTTPS' };
const secret = { mode: 'SIMPLE', credentialName: 'a' };

function findingsOf(spec: object, metadata: object = {}): readonly string[] {
  const raw = { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name: 'gw', ...metadata }, spec };
  return validateObject(raw).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

const server = (fields: object) => ({ servers: [{ port: http, hosts: ['*'], ...fields }] });
const withTls = (tls: object) => server({ port: https, tls });

describe('accepted in silence', () => {
  test.each([
    ['http', server({})],
    ['hosts', server({ hosts: ['*.example.com', './a.example.com', '*/b.example.com', 'ns/*', '10.0.0.1'] })],
    ['a redirect to https', server({ tls: { httpsRedirect: true } })],
    ['a socket', server({ port: { ...http, number: 0 }, bind: 'unix:///a.sock' })],
    ['an address', server({ bind: '127.0.0.1' })],
    ['a secret', withTls(secret)],
    ['files', withTls({ mode: 'MUTUAL', serverCertificate: 'a', privateKey: 'b', caCertificates: 'c' })],
    ['two pairs of files', withTls({ mode: 'SIMPLE', tlsCertificates: [{ serverCertificate: 'a', privateKey: 'b' }] })],
    ['two secrets', withTls({ mode: 'SIMPLE', credentialNames: ['a', 'b'] })],
    ["the mesh's own certificates", withTls({ mode: 'ISTIO_MUTUAL' })],
    ['passthrough', withTls({})],
  ])('%s', (_, spec) => {
    expect(findingsOf(spec)).toEqual([]);
  });

  test('no namespace at all, for gateways of the Gateway API only', () => {
    const spec = server({ hosts: ['~/a.example.com'] });
    expect(findingsOf(spec)).toHaveLength(1);
    expect(findingsOf(spec, { annotations: { 'internal.istio.io/gateway-semantics': 'gateway' } })).toEqual([]);
  });
});

describe('refused', () => {
  test.each([
    ['no servers', {}, 'spec.servers', 'at least one server'],
    ['no hosts', server({ hosts: [] }), 'spec.servers[0].hosts', 'at least one host'],
    ['a short name', server({ hosts: ['a'] }), 'spec.servers[0].hosts[0]', 'short names'],
    ['a partial wildcard', server({ hosts: ['*a.b'] }), 'spec.servers[0].hosts[0]', 'partial wildcard'],
    ['a namespace', server({ hosts: ['A_/a.b'] }), 'spec.servers[0].hosts[0]', 'invalid namespace value'],
    ['no port', server({ port: null }), 'spec.servers[0].port', 'port is required'],
    ['port 0', server({ port: { ...http, number: 0 } }), 'spec.servers[0].port.number', 'range 1..65535'],
    ['a port without a name', server({ port: { ...http, name: '' } }), 'spec.servers[0].port.name', 'must be set'],
    ['a protocol', server({ port: { ...http, protocol: 'FOO' } }), 'spec.servers[0].port.protocol', 'invalid protocol'],
    ['a port on a socket', server({ bind: 'unix:///a.sock' }), 'spec.servers[0].port.number', 'must be 0'],
    ['a bind address', server({ bind: 'nope' }), 'spec.servers[0].bind', 'not a valid IP'],
    ['https without TLS', server({ port: https }), 'spec.servers[0].tls', 'must have TLS settings'],
    ['http with TLS', server({ tls: secret }), 'spec.servers[0].tls', 'plain text HTTP'],
    [
      'tcp with TLS',
      server({ port: { ...http, protocol: 'TCP' }, tls: secret }),
      'spec.servers[0].tls',
      'non HTTPS/TLS',
    ],
    ['no certificate', withTls({ mode: 'SIMPLE' }), 'spec.servers[0].tls.serverCertificate', 'server certificate'],
    [
      'no client CA',
      withTls({ mode: 'MUTUAL', serverCertificate: 'a', privateKey: 'b' }),
      'spec.servers[0].tls',
      'client CA',
    ],
    [
      'two sources',
      withTls({ ...secret, serverCertificate: 'a', privateKey: 'b' }),
      'spec.servers[0].tls',
      'only one of',
    ],
    [
      'a secret for the mesh',
      withTls({ mode: 'ISTIO_MUTUAL', credentialName: 'a' }),
      'spec.servers[0].tls.credentialName',
      'ISTIO_MUTUAL',
    ],
    [
      'a port name twice',
      {
        servers: [
          { port: http, hosts: ['*'] },
          { port: { ...http, number: 81 }, hosts: ['*'] },
        ],
      },
      'spec.servers[1].port.name',
      'unique',
    ],
  ])('%s', (_, spec, path, message) => {
    expect(findingsOf(spec).filter((line) => line.startsWith(`error ${path}: `))).toContainEqual(
      expect.stringContaining(message),
    );
  });

  test('a name with dots', () => {
    expect(findingsOf(server({}), { name: 'a.b' })).toEqual(['error metadata.name: invalid gateway name: "a.b"']);
  });
});

describe('warned of', () => {
  test.each([
    ['a redirect on https', withTls({ ...secret, httpsRedirect: true }), 'httpsRedirect'],
    ['certificates of no use', withTls({ credentialName: 'a' }), 'PASSTHROUGH'],
    [
      'cipher suites',
      withTls({ ...secret, cipherSuites: ['BAD', 'AES128-SHA', 'AES128-SHA'] }),
      'invalid cipher suites: BAD',
    ],
  ])('%s', (_, spec, message) => {
    const found = findingsOf(spec);
    expect(found.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(found).toContainEqual(expect.stringContaining(message));
  });
});
