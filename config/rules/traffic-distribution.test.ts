// Annotations for traffic distribution that nobody knows are told, on every kind that may have them.
import { describe, expect, test } from 'vitest';
import { validate } from '../validate.ts';

const annotated = (value: string) => ({ annotations: { 'networking.istio.io/traffic-distribution': value } });
const port = { number: 80, name: 'http', protocol: 'HTTP' };
const kinds: Readonly<Record<string, (metadata: object) => object>> = {
  Namespace: (metadata) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n', ...metadata } }),
  Service: (metadata) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's', ...metadata }, spec: {} }),
  ServiceEntry: (metadata) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'e', ...metadata },
    spec: { hosts: ['e.example.com'], ports: [port], resolution: 'DNS' },
  }),
};

describe.each(Object.keys(kinds))('%s', (kind) => {
  const findings = (value: string) => validate(kinds[kind]?.(annotated(value))).diagnostics;

  test.each(['PreferClose', 'preferclose', 'PREFERSAMEZONE', 'PreferSameNode', 'Any', ''])('%s is known', (value) => {
    expect(findings(value)).toEqual([]);
  });

  test('another value is told, and refuses nothing', () => {
    expect(findings('PreferFar')).toMatchObject([
      {
        severity: 'warning',
        path: 'metadata.annotations["networking.istio.io/traffic-distribution"]',
        message: '"PreferFar" is none of PreferClose, PreferSameZone, PreferSameNode and counts as Any',
      },
    ]);
  });
});
