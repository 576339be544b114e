// Annotation networking.istio.io/traffic-distribution, of Services, ServiceEntries and namespaces.
import type { ObjectMeta } from '../object.ts';
import { doubtful, type Findings, fine } from './finding.ts';

const annotation = 'networking.istio.io/traffic-distribution';

/** Near which of a service's endpoints its clients stay: in their own zone, on their own node, or none of these. */
export type TrafficDistribution = 'any' | 'same-zone' | 'same-node';

const specified: ReadonlyMap<string, TrafficDistribution> = new Map([
  ['PreferClose', 'same-zone'],
  ['PreferSameZone', 'same-zone'],
  ['PreferSameNode', 'same-node'],
]);
const annotated: ReadonlyMap<string, TrafficDistribution> = new Map([
  ...[...specified].map(([value, meant]) => [value.toLowerCase(), meant] as const),
  ['any', 'any'],
]);

/** What a Service's field says; undefined where that is nothing the mesh knows, and the annotations decide. */
export function specifiedDistribution(field: string | undefined): TrafficDistribution | undefined {
  return specified.get(field ?? '');
}

/** What the annotation says, whatever its case: undefined where there is none, `any` for what nobody knows. */
export function annotatedDistribution({
  annotations,
}: Pick<ObjectMeta, 'annotations'>): TrafficDistribution | undefined {
  const written = annotations?.[annotation] ?? '';
  return written === '' ? undefined : (annotated.get(written.toLowerCase()) ?? 'any');
}

/** Warns of values that nobody knows. */
export function checkTrafficDistribution({ annotations }: Pick<ObjectMeta, 'annotations'>): Findings {
  const written = annotations?.[annotation] ?? '';
  if (written === '' || annotated.has(written.toLowerCase())) return fine;
  const known = [...specified.keys()].join(', ');
  const value = JSON.stringify(written.slice(0, 60));
  return doubtful(`metadata.annotations["${annotation}"]`, `${value} is none of ${known} and counts as Any`);
}
