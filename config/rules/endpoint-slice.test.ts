// Addresses of EndpointSlices that are none of their family are told, and refuse nothing.
import { expect, test } from 'vitest';
import { validate } from '../validate.ts';

const slice = (addressType: string, ...addresses: string[]) =>
  validate({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'default' },
    addressType,
    endpoints: [{ addresses }],
  });

test.each([
  ['IPv4', ['10.0.0.1'], []],
  ['IPv4', ['10.0.0.300', '10.0.0.1', '::1'], ['endpoints[0].addresses[0]', 'endpoints[0].addresses[2]']],
  ['IPv6', ['2001:db8::1', 'x'], ['endpoints[0].addresses[1]']],
  ['FQDN', ['a.example.com'], ['addressType']],
])('%s %j', (type, addresses, expected) => {
  const { object, diagnostics } = slice(type, ...addresses);
  expect(object).toBeDefined();
  expect(diagnostics.map(({ path, severity }) => [path, severity])).toEqual(expected.map((path) => [path, 'warning']));
});
