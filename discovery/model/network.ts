// Networks: which one an address belongs to where its workload does not say.
import { query } from '../graph/graph.ts';
import { facts, objects } from './objects.ts';

/** The label that names a network, on namespaces, pods and gateway services. */
export const networkLabel = 'topology.istio.io/network';

/** The network of this cluster's workloads: the label of the system namespace; empty where there is only one network. */
export const defaultNetwork = query('default-network', (read, _key: 'cluster'): string => {
  const { systemNamespace } = read(facts, 'facts');
  return read(objects.Namespace, `/${systemNamespace}`)?.metadata.labels?.[networkLabel] ?? '';
});
