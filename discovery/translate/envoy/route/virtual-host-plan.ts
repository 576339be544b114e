// Which virtual hosts a route configuration has: names, and the domains by which clients of one DNS domain call them.
import { compareText } from '../../../../config/object.ts';
import { query } from '../../../graph/graph.ts';
import { serviceDomains } from './domains.ts';
import { type ClaimsKey, claimsId, type HostClaim, hostClaims } from './host-claims.ts';
import { type VirtualHostKey, virtualHostFrame, virtualHostKey } from './virtual-host.ts';

/** A port, and the DNS domain by which its clients complete short names. */
export interface PlanKey extends ClaimsKey {
  readonly dnsDomain: string;
  readonly attemptCount: boolean;
}

/** Virtual hosts of a port, sorted by name. */
export const virtualHostPlan = query<PlanKey, readonly VirtualHostKey[]>(
  'virtual-host-plan',
  (read, key) => {
    const { dnsDomain, attemptCount, port } = key;
    const { claims, known } = read(hostClaims, key);
    const taken = new Set<string>();
    const hosts: VirtualHostKey[] = [];
    for (const claim of claims) {
      const { all, short } = domainsOf(claim, dnsDomain);
      const shortForms = new Set(short);
      // A listener for all ports puts the same host on several ports. The first one gets the bare name: Envoy takes the
      // port off Host before it compares, so that the forms with a port keep names apart but match nothing.
      const forms = port === 0 ? all.flatMap((domain) => [domain, `${domain}:${claim.port}`]) : all;
      const domains = forms.filter((domain) => {
        const lower = domain.toLowerCase();
        if (taken.has(lower) || (shortForms.has(domain) && known.has(domain))) return false;
        taken.add(lower);
        return true;
      });
      if (domains.length === 0) continue;
      const { name, source, sourceId } = claim;
      const host = { name, domains, port: claim.port, attemptCount, streamTimeouts: false, source };
      hosts.push(read.keptKey(virtualHostFrame, virtualHostKey(host, sourceId)));
    }
    return hosts.sort((a, b) => compareText(a.name, b.name));
  },
  {
    idOf: planId,
    equals: (a, b) => a.length === b.length && a.every(({ id }, i) => id === b[i]?.id),
  },
);

/** Text that identifies a plan. */
export function planId(key: PlanKey): string {
  return `${claimsId(key)}|${key.dnsDomain}|${key.attemptCount}`;
}

function domainsOf({ hostname, service }: HostClaim, dnsDomain: string) {
  return service === undefined ? { all: [hostname], short: [] } : serviceDomains({ hostname, ...service }, dnsDomain);
}
