// Outbound listeners of TCP services: the same for all clients who see the same, so their cells are named once for all.
import { query } from '../../../graph/graph.ts';
import { type Directory, type ResourceRef, refTo, sameDirectory } from '../../translator.ts';
import { clientId, type OutboundClient } from './contribution.ts';
import { outboundListener } from './outbound-listener.ts';
import { outboundPlans } from './outbound-plan.ts';

/** The client, and what else of it listeners without HTTP depend on. */
export interface TcpDirectoryKey extends OutboundClient {
  /** Cluster of connections that fit no chain; undefined refuses them. */
  readonly fallback: string | undefined;
  readonly exactBalance: boolean;
}

/** Listeners that speak no HTTP, by name. */
export const tcpDirectory = query<TcpDirectoryKey, Directory>(
  'tcp-directory',
  (read, { fallback, exactBalance, ...client }) => {
    const found = new Map<string, ResourceRef>();
    for (const plan of read(outboundPlans, client)) {
      if (plan.http !== undefined) continue;
      found.set(plan.name, refTo(outboundListener, { plan, fallback, exactBalance }));
    }
    return found;
  },
  {
    idOf: ({ fallback, exactBalance, ...client }) => `${clientId(client)}|${fallback ?? ''}|${exactBalance}`,
    equals: sameDirectory,
  },
);

/** Plans of listeners that speak HTTP, which say more of their client. */
export const httpPlans = query(
  'http-plans',
  (read, client: OutboundClient) => read(outboundPlans, client).filter((plan) => plan.http !== undefined),
  {
    idOf: clientId,
    equals: (a, b) => a.length === b.length && a.every((plan, i) => plan.id === b[i]?.id),
  },
);
