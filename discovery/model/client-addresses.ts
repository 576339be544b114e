// The addresses by which one client reaches a service: of its own address families, and automatic ones only with DNS capture.
import { isIPv6 } from 'node:net';
import { query, type Read } from '../graph/graph.ts';
import { facts } from './objects.ts';
import type { Service } from './service.ts';

/** What decides which of a service's addresses a client uses. */
export interface AddressClient {
  readonly ipFamily: 'v4' | 'v6' | 'dual';
  readonly settings: { readonly dnsCapture?: boolean; readonly dnsAutoAllocate?: boolean };
}

/** Whether the mesh is served in two address families (ISTIO_DUAL_STACK); else services have one address to a client. */
export const dualStack = query(
  'dual-stack',
  (read, _key: 'facts') => read(facts, 'facts').features['ISTIO_DUAL_STACK'] === 'true',
);

/**
 * Addresses and CIDRs of a service for a client, the first being the primary; empty where it is reached by name or by
 * its endpoints. Without dual stack a Kubernetes service has but one.
 */
export function addressesFor(read: Read, service: Service, { ipFamily, settings }: AddressClient): readonly string[] {
  const own = service.addresses.filter((address) => isOfFamily(address, ipFamily));
  if (own.length > 0) return service.registry === 'External' || read(dualStack, 'facts') ? own : own.slice(0, 1);
  if (service.addresses.length > 0) return service.addresses.slice(0, 1);
  if (settings.dnsCapture !== true) return [];
  return service.autoAddresses.filter((address) => isOfFamily(address, ipFamily));
}

/** Whether an address or CIDR can be used by a client of these families. */
export function isOfFamily(address: string, ipFamily: AddressClient['ipFamily']): boolean {
  if (ipFamily === 'dual') return true;
  const [ip = ''] = address.split('/');
  return isIPv6(ip) === (ipFamily === 'v6');
}
