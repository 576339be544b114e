// ExternalName services: further names of the service that they stand for.

import { exportedTo } from '../../config/export-to.ts';
import { compareText } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query } from '../graph/graph.ts';
import { services } from './services.ts';

const aliasesByTarget = index('aliases-by-target', services, (service) =>
  service.resolution === 'alias' && service.externalName !== undefined ? [service.externalName.toLowerCase()] : [],
);

/** Aliases may stand for aliases; longer chains are taken for a circle. */
const longestChain = 8;

/** Hosts of the ExternalName services that stand for a host and are visible in a namespace, sorted. */
export const aliasesOf = query<{ readonly namespace: string; readonly hostname: string }, readonly string[]>(
  'aliases-of',
  (read, { namespace, hostname }) => {
    const found = new Set<string>();
    let targets = [hostname];
    for (let step = 0; step < longestChain && targets.length > 0; step++) {
      const next = targets
        .flatMap((target) => read(aliasesByTarget, target))
        .map((key) => read(services, key))
        .filter((service) => service !== undefined && exportedTo(service.exportTo, namespace))
        .map((service) => service?.hostname ?? '')
        .filter((alias) => alias !== hostname && !found.has(alias));
      for (const alias of next) found.add(alias);
      targets = next;
    }
    return [...found].sort(compareText);
  },
  { idOf: ({ namespace, hostname }) => `${namespace}|${hostname}` },
);
