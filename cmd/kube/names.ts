// Names of the objects by which replicas agree.

/** The Lease of whoever writes the status of Ingresses; replicas of all revisions share it, as istiod's do. */
export const ingressLease = 'istio-leader';

/** The Lease of whoever keeps the roots in every namespace; istiod's controller has the same name. */
export function rootsLease(revision: string): string {
  const name = 'istio-namespace-controller-election';
  return revision === '' || revision === 'default' ? name : `${name}-${revision}`;
}
