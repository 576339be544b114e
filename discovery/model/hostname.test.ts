// Host names: full names, wildcards, and which is more specific; and protocols of ports.
import { describe, expect, it } from 'vitest';
import { compareSpecificity, coveringHosts, fqdnOf, hostsMatch, hostWithin, mostSpecificCovering } from './hostname.ts';
import { portProtocol } from './protocol.ts';

describe('host names', () => {
  it.each([
    ['web', 'web.ns.svc.cluster.local'],
    ['web.other', 'web.other'],
    ['Web.Example.com', 'web.example.com'],
    ['*', '*'],
    ['*.example.com', '*.example.com'],
  ])('the full name of %s is %s', (host, full) => {
    expect(fqdnOf(host, 'ns', 'cluster.local')).toBe(full);
  });

  it.each([
    ['*.example.com', 'a.example.com', true, false],
    ['a.example.com', '*.example.com', true, true],
    ['*.b.example.com', '*.example.com', true, true],
    ['*.example.com', '*.b.example.com', true, false],
    ['*', 'x', true, false],
    ['a.com', 'b.com', false, false],
    ['example.com', '*.example.com', false, false],
  ])('%s and %s match: %s; within: %s', (a, b, match, within) => {
    expect(hostsMatch(a, b)).toBe(match);
    expect(hostWithin(a, b)).toBe(within);
  });

  it('are sorted with the most specific first', () => {
    const sorted = ['*', '*.com', 'a.com', 'b.a.com', '*.a.com'].sort(compareSpecificity);
    expect(sorted).toEqual(['b.a.com', 'a.com', '*.a.com', '*.com', '*']);
    expect(mostSpecificCovering('x.a.com', sorted)).toBe('*.a.com');
  });

  it('are covered by themselves and their wildcards', () => {
    expect(coveringHosts('a.b.com')).toEqual(['a.b.com', '*.b.com', '*.com', '*']);
    expect(coveringHosts('*.b.com')).toEqual(['*.b.com', '*.com', '*']);
    expect(coveringHosts('*')).toEqual(['*']);
  });
});

describe('port protocols', () => {
  it.each([
    [{ number: 80, name: 'http-web' }, 'http'],
    [{ number: 80, name: 'HTTP2' }, 'http2'],
    [{ number: 80, name: 'grpc-web-x' }, 'grpc-web'],
    [{ number: 80, name: 'foo' }, 'auto'],
    [{ number: 3306, name: 'db' }, 'tcp'],
    [{ number: 3306, name: 'http' }, 'http'],
    [{ number: 80, name: 'http', transport: 'UDP' }, 'udp'],
    [{ number: 80, name: 'http', appProtocol: 'tcp' }, 'tcp'],
    [{ number: 80, appProtocol: 'kubernetes.io/h2c' }, 'http2'],
    [{ number: 80, appProtocol: 'kubernetes.io/wss' }, 'https'],
  ] as const)('%j is %s', (port, protocol) => {
    expect(portProtocol(port)).toBe(protocol);
  });
});
