// Which mesh objects a control plane of a revision reads, where several run in one cluster.
import type { KindDef } from './kinds/kind.ts';

/** Label whose value is the revision that an object is for (Istio's resource labels). */
export const revisionLabel = 'istio.io/rev';

/**
 * Whether a control plane of `revision` reads an object: one without the label is everybody's, and a control plane without
 * a revision (empty) reads all. Else the two must be equal; `default` is a name like any other, and an empty label no
 * revision's. Kubernetes' own objects are everybody's: there the label says who injects. As istiod does
 * (pkg/config/model.go, LabelsInRevision).
 */
export function isOfRevision(
  { builtin }: Pick<KindDef, 'builtin'>,
  labels: Readonly<Record<string, string>> | undefined,
  revision: string,
): boolean {
  const named = labels?.[revisionLabel];
  return builtin || revision === '' || named === undefined || named === revision;
}
