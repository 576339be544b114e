// Locality by labels: of nodes, and of workloads that say it themselves.
import { query } from '../graph/graph.ts';
import { type Locality, parseLocality, unknownLocality } from './locality.ts';
import { objects } from './objects.ts';

/** The label by which failover ranks endpoints of the client's own node. */
export const nodeNameLabel = 'kubernetes.io/hostname';

type Labels = Readonly<Record<string, string>>;

/** Where a node is, by Kubernetes' labels; their former names count where the present ones are absent or empty. */
export const nodeLocality = query('node-locality', (read, node: string): Locality => {
  const labels = read(objects.Node, `/${node}`)?.metadata.labels;
  return labels === undefined ? unknownLocality : localityOfLabels(labels);
});

function localityOfLabels(labels: Labels): Locality {
  return {
    region: labels['topology.kubernetes.io/region'] || (labels['failure-domain.beta.kubernetes.io/region'] ?? ''),
    zone: labels['topology.kubernetes.io/zone'] || (labels['failure-domain.beta.kubernetes.io/zone'] ?? ''),
    subzone: labels['topology.istio.io/subzone'] ?? '',
  };
}

/**
 * The locality that a workload's own labels give: `region.zone.subzone`, since labels cannot hold slashes. Undefined
 * where they give none.
 */
export function labelledLocality(labels: Labels): Locality | undefined {
  const value = labels['istio-locality'] || labels['topology.istio.io/locality'];
  return value ? parseLocality(value) : undefined;
}
