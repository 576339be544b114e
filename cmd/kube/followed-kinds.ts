// The kinds that a control plane follows in a cluster: what its source reads, and what its role lets it read.
import { type KindName, kindNames } from '../../config/kinds/kinds.ts';

/** Kinds that only a folder needs: there Deployments say which workloads run on the machine; a cluster has its pods. */
export const unfollowedKinds: readonly KindName[] = ['Deployment'];

export const followedKinds: readonly KindName[] = kindNames.filter((kind) => !unfollowedKinds.includes(kind));
