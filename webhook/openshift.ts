// User and group of the proxy where the namespace prescribes a range (OpenShift).

const defaultId = 1337;

/** User and group for a proxy: the last of the namespace's ranges, else 1337. */
export function proxyIdsOf(annotations: Readonly<Record<string, string>> | undefined): {
  readonly uid: number;
  readonly gid: number;
} {
  const uid = lastOf(annotations?.['openshift.io/sa.scc.uid-range']);
  const groups = annotations?.['openshift.io/sa.scc.supplemental-groups']?.split(',')[0];
  const gid = lastOf(groups);
  return { uid: uid ?? defaultId, gid: gid ?? defaultId };
}

// Ranges are `start/size` or `start-end`.
function lastOf(range: string | undefined): number | undefined {
  const match = /^(\d{1,10})([/-])(\d{1,10})$/.exec(range ?? '');
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[3])];
  return match[2] === '/' ? start + end - 1 : end;
}
