// Names of the objects by which replicas agree.

/** The Lease of whoever writes the status of Ingresses; replicas of all revisions share it, as istiod's do. */
export const ingressLease = 'istio-leader';

/** The Lease of whoever keeps the roots in every namespace; istiod's controller has the same name. */
export function rootsLease(revision: string): string {
  return ofRevision('istio-namespace-controller-election', revision);
}

/** The Lease of whoever writes the status of mesh objects. */
export function statusLease(revision: string): string {
  return ofRevision('istio-status-leader', revision);
}

/** The Lease on which replicas report what their proxies reject, to the leader of their revision. */
export function rejectionsLease(revision: string): string {
  return ofRevision('istiod-rejections', revision);
}

/** The Lease of whoever tells ServiceEntries their addresses: one a revision, since each has entries that others do not read. */
export function addressesLease(revision: string): string {
  return ofRevision('istio-ip-autoallocate', revision);
}

function ofRevision(name: string, revision: string): string {
  return revision === '' || revision === 'default' ? name : `${name}-${revision}`;
}

/**
 * The Lease of whoever takes the steps of a rotation of the root, and the one on which all replicas report. They are the same
 * for every revision, as the CA is.
 */
export const rotationLease = 'istiod-root-rotation';
export const replicasLease = 'istiod-replicas';

/** What a replica is called among the others, fit for the name of an annotation: its Pod's name, else one of its own. */
export function replicaName(podName: string | undefined, host: string, unique: string): string {
  const isFit = (name: string): boolean => /^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(name);
  const own = `${host.slice(0, 26)}-${unique}`;
  return [podName ?? '', own].find(isFit) ?? `replica-${unique}`;
}
