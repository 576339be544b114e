// Rules on hostile values: time grows no faster than the text, whatever the text is.

import { expect, test } from 'vitest';
import { validateObject } from '../../config/validate.ts';
import { processorMsOf } from '../support/processor-time.ts';

const long = 200_000;
const policy = (spec: object) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'a' },
  spec,
});
const rule = (destinationRule: object) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'a' },
  spec: destinationRule,
});
const jwt = (jwtRule: object) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: 'a' },
  spec: { jwtRules: [{ issuer: 'i', ...jwtRule }] },
});
const telemetry = (expression: string) => ({
  apiVersion: 'telemetry.istio.io/v1',
  kind: 'Telemetry',
  metadata: { name: 'a' },
  spec: { accessLogging: [{ filter: { expression } }] },
});

test.each([
  ['a path of slashes', policy({ rules: [{ to: [{ operation: { paths: [`${'/'.repeat(long)}a{*}`] } }] }] })],
  ['a path of operators', policy({ rules: [{ to: [{ operation: { paths: ['/{*}'.repeat(long / 4)] } }] }] })],
  ['a host of dots', rule({ host: '.'.repeat(long) })],
  ['a label key of slashes', rule({ host: 'a', subsets: [{ name: 'a', labels: { ['a/'.repeat(long / 2)]: 'b' } }] })],
  ['a label value of dashes', rule({ host: 'a', subsets: [{ name: 'a', labels: { a: `${'-'.repeat(long)}` } }] })],
  ['a URL of colons', jwt({ jwksUri: `https://${':'.repeat(long)}]` })],
  ['a key set of brackets', jwt({ jwks: '['.repeat(long) })],
  ['an expression of parentheses', telemetry('('.repeat(long))],
  ['an expression of negations', telemetry('!'.repeat(8000))],
  ['an expression of nested lists', telemetry('['.repeat(4000))],
  [
    'a table of localities',
    rule({
      host: 'a',
      trafficPolicy: {
        loadBalancer: {
          localityLbSetting: {
            distribute: [{ from: 'a', to: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`r${i}`, 1])) }],
          },
        },
      },
    }),
  ],
  [
    'a table of a large prime',
    rule({ host: 'a', trafficPolicy: { loadBalancer: { consistentHash: { maglev: { tableSize: 4999999 } } } } }),
  ],
])('%s is judged in time', (_, object) => {
  let findings: readonly unknown[] = [];
  const took = processorMsOf(() => {
    findings = validateObject(object);
  });
  // Far above what a linear check needs on a slow machine, far below what a quadratic one takes.
  expect(took).toBeLessThan(1500);
  expect(findings.length).toBeLessThanOrEqual(100);
});
