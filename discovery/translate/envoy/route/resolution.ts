// What a VirtualService's routes depend on beyond itself: ports and hash keys of destinations, settled per client.
import type { ConsistentHash } from '../../../../config/kinds/destination-rule.ts';
import type { Destination, HttpRetry } from '../../../../config/kinds/virtual-service.ts';
import { query, type Read } from '../../../graph/graph.ts';
import type { ClientView } from '../../../model/client-view.ts';
import { appliedRule } from '../../../model/destination-rules.ts';
import { mesh } from '../../../model/objects.ts';
import { type VirtualRoutes, virtualServices } from '../../../model/route.ts';
import { serviceOfHost } from '../../../model/routed-services.ts';
import { services } from '../../../model/services.ts';
import { trafficPolicyOf } from '../../../model/traffic-policy.ts';

/** Who asks, as far as destinations differ by it. */
export type DestinationClient = Pick<ClientView, 'view' | 'policy'>;

/** Outcomes by destination; the key of a cell that is shared by all clients with the same. */
export interface Resolution {
  /** Ports of destinations that name none, by host, where they are not the listener's. */
  readonly ports: Readonly<Record<string, number>>;
  /** Consistent hashes by `port|subset|host`. */
  readonly hashes: Readonly<Record<string, ConsistentHash>>;
}

/** Settles the destinations of a VirtualService on a listener's port. */
export const resolution = query<DestinationClient & { readonly rules: string; readonly port: number }, Resolution>(
  'route-resolution',
  (read, { rules: key, port, ...client }) => {
    const rules = read(virtualServices, key);
    const ports: Record<string, number> = {};
    const hashes: Record<string, ConsistentHash> = {};
    for (const destination of rules === undefined ? [] : destinationsOf(rules)) {
      const host = destination.host ?? '';
      const only = onlyPortOf(read, client, host);
      const named = destination.port?.number ?? 0;
      if (named === 0 && only !== undefined && only !== port) ports[host] = only;
      const target = named === 0 ? (only ?? port) : named;
      const subset = destination.subset ?? '';
      const hash = consistentHashOf(read, client, host, target, subset);
      if (hash !== undefined) hashes[`${target}|${subset}|${host}`] = hash;
    }
    return { ports, hashes };
  },
  { idOf: ({ rules, port, view, policy }) => JSON.stringify([rules, port, view, policy]) },
);

/** The hash by which a client's load on a service's port is balanced, if its rules ask for one. */
export function consistentHashOf(
  read: Read,
  client: DestinationClient,
  hostname: string,
  port: number,
  subset: string,
): ConsistentHash | undefined {
  const scoped = read(serviceOfHost, { ...client.view, hostname });
  if (scoped === undefined) return undefined;
  const serviceNamespace = scoped.service.slice(0, scoped.service.indexOf('/'));
  const { namespace, labels } = client.policy;
  const rule = appliedRule(read, { namespace, hostname, serviceNamespace }, labels);
  return rule === '' ? undefined : trafficPolicyOf(read, { rule, port, subset }).loadBalancer?.consistentHash;
}

/** The mesh's default for routes that say nothing of retries. */
export const defaultRetries = query(
  'default-retries',
  (read, _key: 'mesh'): HttpRetry | undefined => read(mesh, 'mesh').defaultHttpRetryPolicy,
);

function destinationsOf(rules: VirtualRoutes): readonly Destination[] {
  return rules.http.flatMap((route) =>
    [
      ...(route.route ?? []).map(({ destination }) => destination),
      route.mirror,
      ...(route.mirrors ?? []).map(({ destination }) => destination),
    ].filter((destination) => destination !== undefined),
  );
}

function onlyPortOf(read: Read, client: DestinationClient, hostname: string): number | undefined {
  const scoped = read(serviceOfHost, { ...client.view, hostname });
  const ports = (scoped === undefined ? undefined : read(services, scoped.service)?.ports) ?? [];
  return ports.length === 1 ? ports[0]?.number : undefined;
}
