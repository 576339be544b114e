// Rules of EndpointSlice: every address is one of the slice's family.
import { isIP } from 'node:net';
import type { EndpointSlice } from '../kinds/endpoint-slice.ts';
import { doubtful, each, type Findings, fine } from './finding.ts';

/** Whether an address can be an endpoint of a slice of this type: Envoy refuses whole assignments for one that is none. */
export function isOfFamily(address: string, addressType: EndpointSlice['addressType']): boolean {
  return isIP(address) === (addressType === 'IPv6' ? 6 : 4);
}

/** Warns only: the other endpoints of the slice count. Slices of names (FQDN) are not read, as istiod does not read them. */
export function checkEndpointSlice({ addressType, endpoints }: EndpointSlice): Findings {
  if (addressType === 'FQDN')
    return doubtful('addressType', 'slices of names are not read: its endpoints are left out');
  return each(endpoints, 'endpoints', ({ addresses }, path) =>
    each(addresses, `${path}.addresses`, (address, at) =>
      isOfFamily(address, addressType)
        ? fine
        : doubtful(
            at,
            `${JSON.stringify(address.slice(0, 60))} is no ${addressType} address: the endpoint is left out`,
          ),
    ),
  );
}
