// Nodes that are reached from outside of the cluster, by their labels.
import type { Node } from '../../config/kinds/node.ts';
import { compareText } from '../../config/object.ts';
import { collection, index } from '../graph/collect.ts';
import type { Read } from '../graph/graph.ts';
import { objects } from './objects.ts';
import { selects } from './workload.ts';

/** A node with an external address. */
interface OutsideNode {
  readonly labels: Readonly<Record<string, string>>;
  /** The first of its external addresses. */
  readonly address: string;
}

/** Nodes with an external address. They belong to no namespace, so that discoverySelectors do not concern them. */
export const outsideNodes = collection<Node, OutsideNode>('outside-nodes', [objects.Node], (_read, key, node) => {
  const found = (node.status?.addresses ?? []).find(({ type, address }) => type === 'ExternalIP' && address);
  const labels = node.metadata.labels ?? {};
  return found?.address === undefined ? new Map() : new Map([[key, { labels, address: found.address }]]);
});

const allOutsideNodes = index('outside-nodes-all', outsideNodes, () => ['all']);

/** External addresses of the nodes that have these labels, sorted, each once. */
export function nodeAddresses(read: Read, labels: Readonly<Record<string, string>>): readonly string[] {
  const found = read(allOutsideNodes, 'all').flatMap((key) => {
    const node = read(outsideNodes, key);
    return node !== undefined && selects(labels, node.labels) ? [node.address] : [];
  });
  return [...new Set(found)].sort(compareText);
}
