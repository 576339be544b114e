// Rules of DestinationRule, ServiceEntry, WorkloadEntry, WorkloadGroup and Sidecar.
import { describe, expect, test } from 'vitest';
import { validateObject } from '../validate.ts';

function findings(kind: string, spec: object): readonly string[] {
  const raw = { apiVersion: 'networking.istio.io/v1', kind, metadata: { name: 'a', namespace: 'ns' }, spec };
  return validateObject(raw).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

const policy = (trafficPolicy: object) => ({ host: 'a.com', trafficPolicy });
const balancer = (loadBalancer: object) => policy({ loadBalancer, outlierDetection: {} });
const locality = (localityLbSetting: object) => balancer({ localityLbSetting });
const pool = (connectionPool: object) => policy({ connectionPool });
const tls = (settings: object) => policy({ tls: settings });
const selector = { matchLabels: { app: 'a' } };
const http = { number: 80, name: 'http', protocol: 'HTTP' };
const service = (fields: object) => ({ hosts: ['a.com'], ports: [http], ...fields });
const probe = (method: object) => ({ template: {}, probe: method });
const ingress = (fields: object) => ({ ingress: [{ port: http, ...fields }] });
const egress = (...hosts: string[]) => ({ egress: [{ hosts }] });
const outbound = (egressProxy: object) => ({ outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy } });
const tlsPort = { number: 443, name: 'tls', protocol: 'TLS' };
const files = { mode: 'SIMPLE', serverCertificate: 'a', privateKey: 'b' };

describe('accepted in silence', () => {
  test.each([
    ['DestinationRule', { host: '*.a.com', exportTo: ['.'], workloadSelector: selector }],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'v1', labels: { version: 'v1' } }] }],
    ['DestinationRule', pool({ tcp: { idleTimeout: '0s', connectTimeout: '1ms' }, http: { maxRetries: 0 } })],
    ['DestinationRule', balancer({ consistentHash: { maglev: { tableSize: 65537 }, httpHeaderName: 'x' } })],
    ['DestinationRule', balancer({ warmup: { duration: '10s', aggression: 1, minimumPercent: 100 } })],
    ['DestinationRule', locality({ distribute: [{ from: 'a/b/*', to: { 'a/b/c': 40, 'a/b/d': 60 } }] })],
    ['DestinationRule', locality({ failover: [{ from: 'a', to: 'b' }], failoverPriority: ['version'] })],
    ['DestinationRule', locality({ distribute: [{ from: '*', to: { a: 50, 'b/*': 25, 'c/d': 25 } }] })],
    ['DestinationRule', tls({ mode: 'MUTUAL', clientCertificate: 'a', privateKey: 'b', caCertificates: 'c' })],
    ['DestinationRule', tls({ mode: 'SIMPLE', credentialName: 'a' })],
    ['DestinationRule', policy({ tunnel: { targetHost: '10.0.0.1', targetPort: 443 } })],
    ['ServiceEntry', service({ resolution: 'DNS', exportTo: ['~'] })],
    ['ServiceEntry', service({ addresses: ['10.0.0.0/8', '::1'], location: 'MESH_INTERNAL' })],
    ['ServiceEntry', service({ resolution: 'STATIC', endpoints: [{ address: '10.0.0.1', ports: { http: 8080 } }] })],
    ['ServiceEntry', service({ resolution: 'STATIC', endpoints: [{ address: 'unix:///a.sock' }] })],
    ['ServiceEntry', service({ hosts: ['*.a.com'], resolution: 'DYNAMIC_DNS' })],
    ['ServiceEntry', service({ resolution: 'STATIC', workloadSelector: { labels: { a: 'b' } } })],
    ['WorkloadEntry', { address: 'vm.example.com', ports: { http: 80 } }],
    ['WorkloadEntry', { address: 'unix://@abstract' }],
    ['WorkloadGroup', probe({ httpGet: { port: 80, scheme: 'HTTP', httpHeaders: [{ name: 'X-A', value: 'b' }] } })],
    ['WorkloadGroup', probe({ exec: { command: ['true'] } })],
    ['Sidecar', egress('./*', 'ns2/a.com', '*/*.b.com', '~/*', '~ns2/*')],
    ['Sidecar', egress('*/*', '~ns2/*')],
    ['Sidecar', ingress({ bind: '::1', defaultEndpoint: '[::1]:80', connectionPool: { http: { maxRetries: 1 } } })],
    ['Sidecar', ingress({ port: tlsPort, tls: files })],
    ['Sidecar', { egress: [{ port: { number: 0, protocol: 'HTTP' }, bind: 'unix:///a', hosts: ['*/*'] }] }],
    ['Sidecar', outbound({ host: 'a.com', port: { number: 1 } })],
  ])('%s %j', (kind, spec) => {
    expect(findings(kind, spec)).toEqual([]);
  });
});

describe('refused', () => {
  test.each([
    ['DestinationRule', { host: 'a_b' }, 'spec.host: domain name "a_b" invalid'],
    ['DestinationRule', { host: '' }, 'empty domain name'],
    ['DestinationRule', { host: 'a.4' }, 'all-numeric'],
    ['DestinationRule', { host: 'a', exportTo: ['*', 'b'] }, 'public (*) and non-public'],
    ['DestinationRule', { host: 'a', exportTo: ['.', 'ns'] }, 'duplicate entries'],
    ['DestinationRule', { host: 'a', exportTo: ['A B'] }, 'exportTo entry'],
    ['DestinationRule', { host: 'a', exportTo: ['~'] }, 'exportTo entry'],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'a' }, { name: 'a' }] }, 'duplicate subset names: a'],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'a b' }] }, 'subset name is invalid'],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'a', labels: { 'x y': 'z' } }] }, 'invalid tag key'],
    ['DestinationRule', { host: 'a', subsets: [{ name: 'a', labels: { x: '-' } }] }, 'invalid tag value'],
    ['DestinationRule', policy({}), 'at least one field'],
    ['DestinationRule', policy({ portLevelSettings: [{ tls: {} }] }), 'must have valid port'],
    ['DestinationRule', policy({ portLevelSettings: [{ port: { number: 1 } }] }), 'at least one field'],
    ['DestinationRule', pool({}), 'connection pool must have'],
    ['DestinationRule', pool({ http: { maxRetries: -1 } }), 'max retries must be non-negative'],
    ['DestinationRule', pool({ http: { useClientProtocol: true, h2UpgradePolicy: 'UPGRADE' } }), 'use client protocol'],
    ['DestinationRule', pool({ tcp: { tcpKeepalive: { time: '0s' } } }), 'greater than 1ms'],
    ['DestinationRule', policy({ outlierDetection: { consecutiveLocalOriginFailures: 1 } }), 'split external'],
    ['DestinationRule', policy({ outlierDetection: { maxEjectionPercent: 101 } }), 'not in range 0..100'],
    ['DestinationRule', balancer({ consistentHash: { httpCookie: {} } }), 'name required'],
    ['DestinationRule', balancer({ consistentHash: { maglev: { tableSize: 4 } } }), 'prime number'],
    ['DestinationRule', balancer({ consistentHash: { maglev: { tableSize: 5000111 } } }), 'less than 5000011'],
    ['DestinationRule', balancer({ warmup: {} }), 'duration is required'],
    ['DestinationRule', balancer({ warmup: { duration: '1s', minimumPercent: 101 } }), 'less than or equal to 100'],
    ['DestinationRule', balancer({ warmup: { duration: '1s', aggression: 0 } }), 'greater than 0'],
    ['DestinationRule', locality({ distribute: [{ from: 'a', to: { b: 99 } }] }), '99 != 100'],
    ['DestinationRule', locality({ distribute: [{ from: 'a', to: { b: 100, c: 0 } }] }), '[1, 100]'],
    ['DestinationRule', locality({ distribute: [{ from: 'a', to: { 'a/*': 50, 'a/b': 50 } }] }), 'overlap'],
    ['DestinationRule', locality({ distribute: [{ from: 'a', to: { 'a/b': 50, a: 50 } }] }), 'overlap'],
    ['DestinationRule', locality({ distribute: [{ from: 'a', to: { b: 50, '*': 50 } }] }), 'overlap'],
    ['DestinationRule', locality({ distribute: [{ from: 'a/*/b', to: { a: 100 } }] }), 'must be in the end'],
    ['DestinationRule', locality({ distribute: [{ from: 'a//b', to: { a: 100 } }] }), 'must not contain empty'],
    ['DestinationRule', locality({ failover: [{ from: 'a', to: 'a' }] }), 'different regions'],
    ['DestinationRule', locality({ failover: [{ from: 'a/b', to: 'c' }] }), 'only specify region'],
    ['DestinationRule', locality({ failover: [{ from: 'a', to: '*' }] }), 'wildcard'],
    ['DestinationRule', locality({ failover: [{ from: 'a', to: 'b' }], distribute: [{}] }), 'can not simultaneously'],
    ['DestinationRule', tls({ mode: 'MUTUAL' }), 'client certificate required'],
    ['DestinationRule', tls({ mode: 'SIMPLE', credentialName: 'a', caCrl: 'b' }), 'if credentialName is set'],
    ['DestinationRule', tls({ mode: 'SIMPLE', insecureSkipVerify: true, caCertificates: 'a' }), 'InsecureSkipVerify'],
    ['DestinationRule', policy({ tunnel: { protocol: 'GET', targetHost: 'a', targetPort: 1 } }), 'CONNECT'],
    ['DestinationRule', policy({ tunnel: { targetPort: 1 } }), 'tunnel target host'],
    ['DestinationRule', { host: 'a', exportTo: ['*'], workloadSelector: selector }, 'beyond current namespace'],
    [
      'DestinationRule',
      policy({ tunnel: { targetHost: 'a', targetPort: 1 }, proxyProtocol: {} }),
      'tunnel and proxyProtocol',
    ],
    ['DestinationRule', balancer({ consistentHash: { maglev: {} } }), 'tableSize must be set'],
    [
      'DestinationRule',
      balancer({ consistentHash: { ringHash: {}, minimumRingSize: 1 } }),
      'only one of MinimumRingSize',
    ],
    ['DestinationRule', pool({ tcp: { idleTimeout: '-1s' } }), 'greater than 1ms'],
    [
      'ServiceEntry',
      service({ hosts: ['a.com', 'b.com'], resolution: 'DNS', ports: [{ ...http, protocol: 'TCP' }] }),
      'multiple hosts provided',
    ],
    [
      'ServiceEntry',
      service({ resolution: 'STATIC', ports: [http, tlsPort], endpoints: [{ address: 'unix:///a' }] }),
      'exactly 1 service port',
    ],
    ['WorkloadEntry', { network: 'n', ports: { a: 0 } }, '1..65535'],
    ['Sidecar', ingress({ port: { ...http, targetPort: 1 } }), 'targetPort has no impact'],
    ['Sidecar', { ingress: [{ port: http }, { port: http, bind: '127.0.0.1' }] }, 'must be unique'],
    [
      'Sidecar',
      { egress: [{ port: { number: 0 }, bind: 'unix:///a', captureMode: 'IPTABLES', hosts: ['*/*'] }] },
      'captureMode must be',
    ],
    [
      'Sidecar',
      { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY', egressProxy: { host: 'a.com' } } },
      'only with ALLOW_ANY',
    ],
    ['ServiceEntry', { hosts: [] }, 'at least one host'],
    ['ServiceEntry', { hosts: ['*'] }, 'invalid host *'],
    ['ServiceEntry', service({ addresses: ['x'] }), 'not a valid IP'],
    ['ServiceEntry', service({ addresses: ['1.2.3.4/33'] }), 'not a valid CIDR block'],
    ['ServiceEntry', service({ addresses: ['1.2.3.0/24'], resolution: 'DNS' }), 'CIDR addresses are allowed only'],
    ['ServiceEntry', service({ ports: [http, { ...http, name: 'b' }] }), 'port 80 already defined'],
    ['ServiceEntry', service({ ports: [http, { ...http, number: 81 }] }), 'port name "http" already defined'],
    ['ServiceEntry', service({ ports: [{ ...http, protocol: 'X' }] }), 'unsupported protocol'],
    ['ServiceEntry', service({ ports: [{ ...http, targetPort: 70000 }] }), '1..65535'],
    ['ServiceEntry', service({ endpoints: [{ address: '1.2.3.4' }] }), 'no endpoints should be provided'],
    ['ServiceEntry', service({ resolution: 'STATIC', endpoints: [{ address: 'a.com' }] }), 'not a valid IP address'],
    ['ServiceEntry', service({ resolution: 'STATIC', endpoints: [{}] }), 'address is required'],
    ['ServiceEntry', service({ resolution: 'DNS', endpoints: [{ address: 'unix:///a' }] }), 'FQDN or an IP'],
    [
      'ServiceEntry',
      service({ resolution: 'DNS', endpoints: [{ address: 'b.com', ports: { tcp: 1 } }] }),
      'not defined by the service entry',
    ],
    ['ServiceEntry', service({ hosts: ['*.a.com'], resolution: 'DNS' }), 'hosts must be FQDN'],
    [
      'ServiceEntry',
      service({ resolution: 'DNS_ROUND_ROBIN', endpoints: [{ address: 'b.com' }, { address: 'c.com' }] }),
      '0 or 1 endpoint',
    ],
    ['ServiceEntry', service({ resolution: 'DYNAMIC_DNS' }), 'host must be wildcarded'],
    [
      'ServiceEntry',
      service({ hosts: ['*.a.com'], resolution: 'DYNAMIC_DNS', location: 'MESH_INTERNAL' }),
      'MESH_INTERNAL',
    ],
    [
      'ServiceEntry',
      service({ resolution: 'STATIC', workloadSelector: { labels: { a: 'b' } }, endpoints: [{ address: '1.2.3.4' }] }),
      'only one of',
    ],
    ['ServiceEntry', service({ resolution: 'DNS', exportTo: ['~', 'a'] }), 'no one (~) and someone'],
    ['WorkloadEntry', {}, 'address is required'],
    ['WorkloadEntry', { address: 'unix:///a/' }, 'absolute path'],
    ['WorkloadEntry', { address: 'unix://@a', ports: { b: 1 } }, 'must not include ports'],
    ['WorkloadEntry', { address: 'a.com', ports: { 'b c': 1 } }, 'invalid port name'],
    ['WorkloadGroup', {}, 'template must be set'],
    ['WorkloadGroup', probe({}), 'one of httpGet'],
    ['WorkloadGroup', probe({ exec: {} }), 'exec.command is required'],
    ['WorkloadGroup', probe({ tcpSocket: {} }), '1..65535'],
    ['WorkloadGroup', probe({ httpGet: { port: 1, scheme: 'FTP' } }), 'httpGet.scheme'],
    ['WorkloadGroup', probe({ httpGet: { port: 1, httpHeaders: [{ name: 'a b' }] } }), 'not a valid header name'],
    ['WorkloadGroup', probe({ exec: { command: ['a'] }, periodSeconds: -1 }), 'must be non-negative'],
    ['Sidecar', {}, 'empty configuration'],
    ['Sidecar', { ingress: [{}] }, 'port is required'],
    ['Sidecar', ingress({ bind: 'a' }), 'not a valid IP'],
    ['Sidecar', ingress({ defaultEndpoint: '1.2.3.4:80' }), 'defaultEndpoint must be of form'],
    ['Sidecar', ingress({ defaultEndpoint: '127.0.0.1:x' }), 'is not a number'],
    ['Sidecar', ingress({ tls: files }), 'non HTTPS/TLS ports'],
    ['Sidecar', ingress({ port: tlsPort, tls: { mode: 'SIMPLE' } }), 'requires a server certificate'],
    ['Sidecar', ingress({ port: tlsPort, tls: { ...files, mode: 'MUTUAL' } }), 'client CA bundle'],
    ['Sidecar', ingress({ port: tlsPort, tls: { mode: 'ISTIO_MUTUAL' } }), 'cannot set mode to ISTIO_MUTUAL'],
    ['Sidecar', ingress({ port: tlsPort, tls: { ...files, credentialName: 'a' } }), 'credentialName is not supported'],
    ['Sidecar', { ingress: [{ port: http }, { port: http }] }, 'must be unique'],
    ['Sidecar', egress('a.com'), 'namespace/dnsName'],
    ['Sidecar', egress('a/b'), 'short names'],
    ['Sidecar', egress('/a.com'), 'cannot be empty'],
    ['Sidecar', egress('a b/c.com'), 'invalid namespace value'],
    ['Sidecar', egress('a/*b.com'), 'partial wildcard'],
    ['Sidecar', { egress: [{}] }, 'at least one host'],
    ['Sidecar', { egress: [{ hosts: ['*/*'] }, { hosts: ['*/*'] }] }, 'should be the last listener'],
    ['Sidecar', { egress: [{ port: { number: 0 }, hosts: ['*/*'] }] }, 'unix domain socket'],
    ['Sidecar', outbound({ host: 'a.com' }), 'port must be non-nil'],
    ['Sidecar', { outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } }, 'only supported in MeshConfig'],
  ])('%s %j', (kind, spec, message) => {
    const errors = findings(kind, spec).filter((line) => line.startsWith('error'));
    expect(errors).toContainEqual(expect.stringContaining(message));
  });
});

describe('warned of', () => {
  test.each([
    ['DestinationRule', { host: 'a', workloadSelector: {} }, 'without labels'],
    ['DestinationRule', balancer({ consistentHash: { minimumRingSize: 7 } }), 'deprecated'],
    ['DestinationRule', policy({ outlierDetection: { consecutiveErrors: 7 } }), 'deprecated'],
    [
      'DestinationRule',
      policy({ loadBalancer: { localityLbSetting: { failoverPriority: ['a'] } } }),
      'outlier detection policy must be provided',
    ],
    ['DestinationRule', policy({ portLevelSettings: [{ port: { number: 70000 }, tls: {} }] }), '1..65535'],
    ['DestinationRule', policy({ retryBudget: { percent: 200 } }), '0..100'],
    ['ServiceEntry', service({ workloadSelector: { labels: { a: 'b' } } }), 'should not be set when resolution mode'],
    ['ServiceEntry', service({ hosts: ['*a.com'] }), 'partial wildcard'],
    ['ServiceEntry', service({ ports: [{ ...http, protocol: 'TCP' }] }), 'addresses are required'],
    [
      'ServiceEntry',
      service({ hosts: ['a.com', 'b.com'], addresses: ['1.2.3.4'], ports: [tlsPort], resolution: 'DNS' }),
      'more than one host',
    ],
    ['WorkloadEntry', { network: 'n' }, 'address is unset'],
    ['Sidecar', egress('./*', './a.com'), 'duplicated egress host'],
    ['Sidecar', egress('*/*', './a.com'), 'no other hosts'],
    [
      'Sidecar',
      ingress({ port: { ...http, protocol: 'TCP' }, connectionPool: { http: { maxRetries: 1 } } }),
      'only TCP settings will apply',
    ],
  ])('%s %j', (kind, spec, message) => {
    const lines = findings(kind, spec);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(lines).toContainEqual(expect.stringContaining(message));
  });
});
