// The annotation in which Multus reads the networks a pod joins.

/** Adds a network to `k8s.v1.cni.cncf.io/networks`, which is a comma-separated list or a JSON list of objects. */
export function appendNetwork(existing: string | undefined, network: string): string {
  const text = existing ?? '';
  if (text.trim() === '') return network;
  const trimmed = text.trim();
  if (!trimmed.startsWith('[')) {
    return trimmed.split(',').some((item) => item.trim() === network) ? text : `${text}, ${network}`;
  }
  const [namespace = '', name = ''] = network.split('/');
  // The list stays as its author wrote it; only the last bracket moves.
  const list: unknown = parseList(trimmed);
  if (!Array.isArray(list)) return text;
  const isThere = list.some((item) => item?.name === name && item?.namespace === namespace);
  const entry = `{"name": ${JSON.stringify(name)}, "namespace": ${JSON.stringify(namespace)}}`;
  const inner = trimmed.slice(1, -1).trimEnd();
  return isThere ? text : `[${inner}${list.length === 0 ? '' : ', '}${entry}]`;
}

function parseList(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
