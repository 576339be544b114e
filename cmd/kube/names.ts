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

/** The Lease of whoever gives ServiceEntries their addresses: one for all revisions, since all have the same addresses. */
export const addressesLease = 'istio-ip-autoallocate';

function ofRevision(name: string, revision: string): string {
  return revision === '' || revision === 'default' ? name : `${name}-${revision}`;
}
