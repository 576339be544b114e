// Puts the graph together: all collections in an order in which each reads only earlier ones, and how objects enter.
import type { ObjectChange } from '../config/sources/source.ts';
import { Graph, type Input } from './graph/graph.ts';
import { autoPassthroughCollections } from './model/auto-passthrough.ts';
import { destinationRuleCollections } from './model/destination-rules.ts';
import { gatewayCollections } from './model/gateways.ts';
import { ingressCollections } from './model/ingress-routes.ts';
import { labelMentionCollections } from './model/label-mentions.ts';
import { mtlsCollections } from './model/mtls.ts';
import { objects } from './model/objects.ts';
import { registryCollections } from './model/registry.ts';
import { routeCollections } from './model/route.ts';
import { sidecars } from './model/sidecar-scope.ts';

/** A graph of an empty world. The mesh configuration and the process's facts must be written before anything is read. */
export function createGraph(): Graph {
  return new Graph([
    ...registryCollections,
    ...destinationRuleCollections,
    ...mtlsCollections,
    ...autoPassthroughCollections,
    ...ingressCollections,
    ...gatewayCollections,
    ...routeCollections,
    sidecars,
    ...labelMentionCollections,
  ]);
}

/** Writes object changes. Returns how many made a difference. */
export function writeObjects(graph: Graph, changes: Iterable<ObjectChange>): number {
  let count = 0;
  for (const { kind, key, object } of changes) {
    if (graph.write(objects[kind] as unknown as Input<string, unknown>, key, object)) count++;
  }
  return count;
}
