// Which workload a pod belongs to, guessed from its owner as Istio does: it names the proxy in telemetry.
import { labelsOf, type Pod } from './pod.ts';

/** The workload that a pod template or pod belongs to. */
export interface WorkloadMeta {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

/**
 * The workload of an admitted pod. Only a generated name makes the owner count; a ReplicaSet's name loses the pod
 * template's hash, a Job's name the CronJob controller's time stamp.
 */
export function workloadOfPod(pod: Pod, namespace: string): WorkloadMeta {
  const name = pod.metadata?.name ?? '';
  const none: WorkloadMeta = { apiVersion: 'v1', kind: 'Pod', name, namespace };
  const generated = pod.metadata?.generateName;
  if (generated === undefined || generated === '') return none;
  const owner = pod.metadata?.ownerReferences?.find((reference) => reference.controller === true);
  if (owner === undefined) return none;
  const labels = labelsOf(pod);
  const at = { apiVersion: owner.apiVersion, namespace };
  if (owner.kind === 'ReplicaSet') {
    const deployment = trimHash(owner.name, labels['pod-template-hash']);
    if (deployment !== undefined) return { ...at, kind: 'Deployment', name: deployment };
    const rollout = trimHash(owner.name, labels['rollouts-pod-template-hash']);
    if (rollout !== undefined) return { ...at, apiVersion: 'v1alpha1', kind: 'Rollout', name: rollout };
  }
  const deploymentConfig = labels['deploymentconfig'];
  if (owner.kind === 'ReplicationController' && deploymentConfig !== undefined && deploymentConfig !== '') {
    return { ...at, kind: 'DeploymentConfig', name: deploymentConfig };
  }
  const cronJob = owner.kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(owner.name)?.[1] : undefined;
  if (cronJob !== undefined) return { ...at, apiVersion: 'batch/v1', kind: 'CronJob', name: cronJob };
  return { ...at, kind: owner.kind, name: owner.name };
}

function trimHash(name: string, hash: string | undefined): string | undefined {
  if (hash === undefined || hash === '' || !name.endsWith(hash)) return undefined;
  const suffix = `-${hash}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

/** How messages name a pod that has no name yet. */
export function podNameOf(pod: Pod): string {
  const meta = pod.metadata;
  if (meta?.name !== undefined && meta.name !== '') return meta.name;
  return meta?.generateName === undefined || meta.generateName === ''
    ? ''
    : `${meta.generateName}***** (actual name not yet known)`;
}
