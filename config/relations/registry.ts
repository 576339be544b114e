// WorkloadEntries and ServiceEntries among the services that select them or have their hosts.
import type { Diagnostic } from '../diagnostic.ts';
import type { ServiceEntry } from '../kinds/service-entry.ts';
import type { WorkloadEntry } from '../kinds/workload-entry.ts';
import { keyOf } from '../object.ts';
import { isIpAddress, unixPrefix } from '../rules/addresses.ts';
import { ineffective } from './finding.ts';
import { type Selecting, type Surroundings, serviceOf } from './view.ts';

/** A WorkloadEntry of a host name or a path: what selects it and takes IP addresses only. */
export function relateWorkloadEntry(
  { metadata, spec = {} }: WorkloadEntry,
  { selecting }: Surroundings,
): readonly Diagnostic[] {
  const { address = '' } = spec;
  if (address === '' || isIpAddress(address)) return [];
  const isPath = address.startsWith(unixPrefix);
  const without = selecting(metadata.namespace, { ...metadata.labels, ...spec.labels })
    .filter((object) => isPath || !looksUp(object))
    .map((object) => `${object.kind} ${keyOf(object.metadata)}`);
  if (without.length === 0) return [];
  const [what, help] = isPath
    ? ['paths of sockets', 'only endpoints that a ServiceEntry of resolution STATIC lists itself can be such']
    : ['host names', 'only ServiceEntries of resolution DNS or DNS_ROUND_ROBIN have names looked up'];
  const more = without.length > shown ? ` and ${without.length - shown} more` : '';
  const names = without.slice(0, shown).join(', ') + more;
  return ineffective('spec.address', `it is no endpoint of ${names}, which cannot have ${what}`, help);
}

/** A ServiceEntry: hosts that are a Service's of its own namespace, to which it adds nothing but SANs. */
export function relateServiceEntry({ metadata, spec }: ServiceEntry, around: Surroundings): readonly Diagnostic[] {
  return (spec.hosts ?? []).flatMap((host, index) => {
    const service = serviceOf(around, host.toLowerCase());
    if (service === undefined || service.metadata.namespace !== metadata.namespace) return [];
    const added = (spec.subjectAltNames ?? []).length > 0;
    const message = `the host is that of Service ${keyOf(service.metadata)}, to which ${added ? 'only ' : ''}the entry's`;
    const rest = added ? 'subjectAltNames are added' : 'ports, addresses, endpoints and resolution are not added';
    return ineffective(
      `spec.hosts[${index}]`,
      `${message} ${rest}`,
      'another host gives the entry a service of its own',
    );
  });
}

/** How many objects a message names. */
const shown = 5;

function looksUp(object: Selecting): boolean {
  return object.kind === 'ServiceEntry' && ['DNS', 'DNS_ROUND_ROBIN'].includes(object.spec.resolution ?? '');
}
