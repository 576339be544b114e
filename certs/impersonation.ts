// Node agents (ztunnel) that ask for certificates of the workloads on their node: who may, and for whom.
import type { CallerIdentity } from './caller.ts';
import { type Identity, parseIdentity } from './identity.ts';
import { type Refusal, refused } from './refusal.ts';

/** A pod as the informers of its cluster know it. */
export interface KnownPod {
  readonly uid: string;
  readonly serviceAccount: string;
  readonly node: string;
}

/** Looks pods up; the cluster id is the one of the caller's token, undefined for the local cluster. */
export interface PodDirectory {
  pod(clusterId: string | undefined, namespace: string, name: string): KnownPod | undefined;
  /** Whether a pod of that service account runs on the node. */
  runsOn(clusterId: string | undefined, node: string, namespace: string, serviceAccount: string): boolean;
}

/** Istio's CA_TRUSTED_NODE_ACCOUNTS: `namespace/name` of the accounts that may impersonate. */
export type TrustedNodeAccounts = ReadonlySet<string>;

/** Reads `ns/sa,ns/sa`; empty and malformed entries are left out. */
export function parseNodeAccounts(text: string): TrustedNodeAccounts {
  const entries = text.split(',').map((entry) => entry.trim());
  return new Set(entries.filter((entry) => /^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/.test(entry)));
}

/** The identity that the caller may act as, or why it may not. Every doubt refuses. */
export function impersonate(
  callers: readonly CallerIdentity[],
  requested: string,
  accounts: TrustedNodeAccounts,
  pods: PodDirectory,
): Identity | Refusal {
  const caller = callers.find((each) => accounts.has(`${each.namespace}/${each.serviceAccount}`));
  const wanted = parseIdentity(requested);
  if (caller === undefined) {
    return refused('the caller is not a trusted node account');
  }
  if (wanted === undefined || wanted.trustDomain !== caller.trustDomain) {
    return refused('the impersonated identity is not one of this trust domain');
  }
  if (caller.podName === undefined || caller.podUid === undefined) {
    return refused('the caller’s token is not bound to a pod');
  }
  const pod = pods.pod(caller.clusterId, caller.namespace, caller.podName);
  if (pod === undefined || pod.uid !== caller.podUid || pod.serviceAccount !== caller.serviceAccount) {
    return refused('the caller’s pod is not known');
  }
  return pods.runsOn(caller.clusterId, pod.node, wanted.namespace, wanted.serviceAccount)
    ? wanted
    : refused('no pod of the impersonated identity runs on the caller’s node');
}
