// Gateways that route TLS by server name to every service of the mesh, as those between networks do.
import type { Gateway } from '../../config/kinds/gateway.ts';
import { index } from '../graph/collect.ts';
import type { Read } from '../graph/graph.ts';
import { objectCollection } from './object-collection.ts';
import { facts } from './objects.ts';
import { selects } from './workload.ts';

const passthroughGateways = objectCollection<'Gateway', Gateway>(
  'auto-passthrough-gateways',
  ['Gateway'],
  (_read, key, gateway) =>
    gateway.spec?.servers?.some((server) => server?.tls?.mode === 'AUTO_PASSTHROUGH')
      ? new Map([[key, gateway]])
      : new Map(),
);

const allPassthroughGateways = index('auto-passthrough-gateways-all', passthroughGateways, () => ['all']);

/** Collections of this file, for the graph. */
export const autoPassthroughCollections = [passthroughGateways];

/** Whether some gateway with an AUTO_PASSTHROUGH server selects a workload. */
export function passesThrough(read: Read, namespace: string, labels: Readonly<Record<string, string>>): boolean {
  const scoped = read(facts, 'facts').features['PILOT_SCOPE_GATEWAY_TO_NAMESPACE'] === 'true';
  return read(allPassthroughGateways, 'all').some((key) => {
    const gateway = read(passthroughGateways, key);
    const selector = gateway?.spec?.selector;
    if (gateway === undefined || selector === undefined || !selects(selector, labels)) return false;
    return !scoped || gateway.metadata.namespace === namespace;
  });
}
