// Which label keys any selector mentions: only those can make two workloads' configuration differ.
import { index, type Source } from '../graph/collect.ts';
import { query } from '../graph/graph.ts';
import { ingressGateways } from './ingress.ts';
import { objectCollection } from './object-collection.ts';
import { mesh } from './objects.ts';

/** Kinds that select workloads, or match their labels. */
const selecting = [
  'Sidecar',
  'DestinationRule',
  'VirtualService',
  'Gateway',
  'PeerAuthentication',
  'RequestAuthentication',
  'AuthorizationPolicy',
  'EnvoyFilter',
  'Telemetry',
  'WasmPlugin',
  'TrafficExtension',
  'ProxyConfig',
] as const;

/** One item for each label key that an object mentions, keyed `label\u0000kind|namespace/name`. */
const labelMentions = objectCollection<(typeof selecting)[number], string>(
  'label-mentions',
  selecting,
  (_read, key, value, source: Source) => {
    const mentioned = new Set<string>();
    collectMentions(value, mentioned);
    return new Map(
      [...mentioned].sort().map((label) => [`${label}\u0000${(source as { name: string }).name}|${key}`, label]),
    );
  },
  [ingressGateways],
);

const mentionsIndex = index('label-mentions-all', labelMentions, () => ['all']);

/** Collections of this file, for the graph. */
export const labelMentionCollections = [labelMentions];

/** Label keys that some selector, source match or failover priority mentions, sorted. */
export const mentionedLabels = query('mentioned-labels', (read, _key: 'all'): readonly string[] => {
  const labels = new Set<string>();
  for (const key of read(mentionsIndex, 'all')) labels.add(key.slice(0, key.indexOf('\u0000')));
  const meshWide: unknown = read(mesh, 'mesh').localityLbSetting;
  collectMentions(meshWide, labels);
  return [...labels].sort();
});

/** Fields whose maps are compared with the labels of workloads, wherever they stand in an object. */
const selectorFields: ReadonlySet<string> = new Set(['labels', 'matchLabels', 'sourceLabels']);

function collectMentions(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) collectMentions(item, into);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, field] of Object.entries(value)) {
    if (name === 'metadata' || name === 'status') continue;
    if (name === 'failoverPriority' && Array.isArray(field)) {
      for (const entry of field) if (typeof entry === 'string') into.add(entry.split('=')[0] ?? entry);
    } else if (selectorFields.has(name) || (name === 'selector' && isTextMap(field))) {
      for (const label of Object.keys((field as object | null) ?? {})) into.add(label);
    } else collectMentions(field, into);
  }
}

function isTextMap(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && Object.values(value).every((entry) => typeof entry === 'string')
  );
}
