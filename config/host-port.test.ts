// Hosts with ports: names, IPv4 and IPv6, and what is neither.
import { describe, expect, test } from 'vitest';
import { formatHostPort, parseHostPort } from './host-port.ts';

describe('a host and a port', () => {
  test.each<[text: string, host: string, port: number]>([
    ['istiod.istio-system.svc:15012', 'istiod.istio-system.svc', 15012],
    ['10.0.0.1:0', '10.0.0.1', 0],
    ['[fd00::1]:65535', 'fd00::1', 65535],
    ['[::]:80', '::', 80],
  ])('%s', (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port });
    expect(formatHostPort({ host, port })).toBe(text);
  });

  test('may be a port of all addresses', () => {
    expect(parseHostPort(':15010')).toEqual({ host: '', port: 15010 });
  });

  test.each([
    ...['', 'host', '15010', 'host:', 'host:http', 'host:-1', 'host: 80', 'host:65536', 'host:100000', 'a b:80'],
    ...['::1:80', 'fd00::1', '[::1]', '[::1]80', '[::1:80', '::1]:80', '[10.0.0.1]:80', '[host]:80', '[]:80', 'a:b:80'],
    ...['-a:80', 'host:80\n', `${'a'.repeat(254)}:80`, 'http://host:80'],
  ])('is not %j', (text) => {
    expect(parseHostPort(text)).toBeUndefined();
  });
});

test.each<[text: string, host: string | undefined, port?: number]>([
  ['host', 'host', 15012],
  ['host:80', 'host', 80],
  ['10.0.0.1', '10.0.0.1', 15012],
  ['[::1]', '::1', 15012],
  ['fd00::1', 'fd00::1', 15012],
  ['[::1]:80', '::1', 80],
  ['', undefined],
  ['host:', undefined],
  ['host:http', undefined],
  ['[host]', undefined],
])('the port of %j may be missing where there is a default', (text, host, port) => {
  expect(parseHostPort(text, 15012)).toEqual(host === undefined ? undefined : { host, port });
});
