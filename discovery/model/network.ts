// Networks: which one an address belongs to where its workload does not say, and how others are entered by configuration.
import type { MeshNetworks } from '../../config/kinds/mesh-config.ts';
import { parseMeshNetworks } from '../../config/mesh.ts';
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { parseRange, rangeContains } from './address.ts';
import { facts, meshTexts, objects } from './objects.ts';

/** The label that names a network, on namespaces, pods and gateway services. */
export const networkLabel = 'topology.istio.io/network';

/** Settings of networks: key `meshNetworks` of the shared ConfigMap if it has one, else of the mesh's own. */
export const meshNetworks = query('mesh-networks', (read, _key: 'mesh'): MeshNetworks => {
  const [text] = meshTexts(read, 'meshNetworks');
  return (text === undefined ? undefined : parseMeshNetworks(text).value) ?? {};
});

/** The network of workloads that name none: that of the whole cluster, by the system namespace's label. */
const clusterNetwork = query('cluster-network', (read, _key: 'cluster'): string => {
  const { systemNamespace } = read(facts, 'facts');
  return read(objects.Namespace, `/${systemNamespace}`)?.metadata.labels?.[networkLabel] ?? '';
});

interface Range {
  readonly network: string;
  readonly address: string;
  readonly bits: number;
}

/** Ranges of addresses, the widest first: of two that hold an address istiod takes the wider one. */
const networkRanges = query('network-ranges', (read, _key: 'mesh'): readonly Range[] =>
  settingsOf(read)
    .flatMap(([network, { endpoints = [] }]) =>
      endpoints.flatMap(({ fromCidr = '' }) => {
        const range = parseRange(fromCidr);
        return range === undefined ? [] : [{ network, ...range }];
      }),
    )
    .sort((a, b) => a.bits - b.bits),
);

const registryNetwork = query('registry-network', (read, _key: 'cluster'): string => {
  const { cluster } = read(facts, 'facts');
  const found = settingsOf(read).find(([, { endpoints = [] }]) =>
    endpoints.some(({ fromRegistry }) => fromRegistry === cluster),
  );
  return found?.[0] ?? '';
});

/**
 * The network of an address whose workload names none; empty where there is only one network. As in istiod the label of
 * the system namespace goes first, then the network that takes this cluster's endpoints, and ranges of addresses last.
 */
export function networkOf(read: Read, address: string): string {
  return (
    read(clusterNetwork, 'cluster') ||
    read(registryNetwork, 'cluster') ||
    (read(networkRanges, 'mesh').find((range) => rangeContains(range, address))?.network ?? '')
  );
}

/** Networks of the settings, sorted by name. */
export function settingsOf(read: Read): [string, NonNullable<MeshNetworks['networks']>[string]][] {
  return Object.entries(read(meshNetworks, 'mesh').networks ?? {}).sort(([a], [b]) => compareText(a, b));
}
