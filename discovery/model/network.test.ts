// The network of an address whose workload names none: by the system namespace, the cluster, or ranges of addresses.
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { type Raw, raw } from '../../test/support/cluster-world.ts';
import { graphOf } from '../../test/support/world.ts';
import { query } from '../graph/graph.ts';
import { networkOf } from './network.ts';

const labelled = raw(
  'v1',
  'Namespace',
  'istio-system',
  {},
  { metadata: { namespace: '', labels: { 'topology.istio.io/network': 'labelled' } } },
);
const networks = (...settings: readonly string[]): Raw =>
  ({
    ...raw('v1', 'ConfigMap', 'istio', {}, { metadata: { namespace: 'istio-system' } }),
    data: { meshNetworks: `networks: { ${settings.join(', ')} }` },
  }) as Raw;
const own = 'cluster: { endpoints: [{ fromRegistry: Kubernetes }] }';
const other = 'other: { endpoints: [{ fromRegistry: elsewhere }] }';
const narrow = 'a-narrow: { endpoints: [{ fromCidr: 10.8.1.0/24 }, { fromCidr: "fd00:1::/32" }] }';
const wide = 'b-wide: { endpoints: [{ fromCidr: 10.8.0.0/16 }, { fromCidr: no-range }] }';

const asked = query('asked-network', (read, address: string) => networkOf(read, address));

test.each<[what: string, objects: readonly Raw[], address: string, network: string]>([
  ['the namespace goes before all', [labelled, networks(own, wide)], '10.8.1.1', 'labelled'],
  ['the cluster goes before ranges', [networks(own, narrow, wide)], '10.8.1.1', 'cluster'],
  ['the cluster has what is not an address too', [networks(own)], 'a.example.com', 'cluster'],
  ['another cluster does not count', [networks(other, narrow)], '10.8.1.1', 'a-narrow'],
  ['the wider of two ranges goes first', [networks(narrow, wide)], '10.8.1.1', 'b-wide'],
  ['a range is of its own family', [networks(narrow, wide)], 'fd00:1::1', 'a-narrow'],
  ['an address outside of all ranges has none', [networks(narrow, wide)], '10.9.0.1', ''],
  ['a name has none', [networks(narrow, wide)], 'a.example.com', ''],
  ['there may be no networks', [], '10.8.1.1', ''],
])('%s', (_what, objects, address, network) => {
  expect(graphOf(objects, defaultMeshConfig).read(asked, address)).toBe(network);
});
