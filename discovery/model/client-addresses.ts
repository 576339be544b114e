// The addresses by which one client reaches a service: of its own address families, and automatic ones only with DNS capture.
import { isIPv6 } from 'node:net';
import type { Service } from './service.ts';

/** What decides which of a service's addresses a client uses. */
export interface AddressClient {
  readonly ipFamily: 'v4' | 'v6' | 'dual';
  readonly settings: { readonly dnsCapture?: boolean; readonly dnsAutoAllocate?: boolean };
}

/** Addresses and CIDRs of a service for a client, in order; empty where it is reached by name or by its endpoints. */
export function addressesFor(service: Service, { ipFamily, settings }: AddressClient): readonly string[] {
  const own = service.addresses.filter((address) => isOfFamily(address, ipFamily));
  if (own.length > 0) return ipFamily === 'dual' || service.registry === 'External' ? own : own.slice(0, 1);
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
