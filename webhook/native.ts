// Whether a proxy is a native sidecar: an init container that keeps running (KEP-753, on by default from kubelet 1.33).
import type { ClusterView, InjectionSettings } from './context.ts';
import { listOf, memberAt } from './json.ts';
import { annotationsOf, type Pod } from './pod.ts';

/**
 * The pod's annotation wins; then the setting; `auto` asks whether the kubelet of the pod's node, or of every node
 * where it needs none in particular, can do it.
 */
export function isNative(pod: Pod, settings: InjectionSettings, cluster: ClusterView, clusterId: string): boolean {
  const annotation = annotationsOf(pod)['sidecar.istio.io/nativeSidecar'];
  if (annotation !== undefined) return annotation === 'true';
  if (settings.nativeSidecars !== 'auto') return settings.nativeSidecars === 'enabled';
  const node = nodeOf(pod);
  const versions = node === undefined ? cluster.kubeletVersions(clusterId) : cluster.kubeletVersions(clusterId, node);
  return versions.length > 0 && versions.every((version) => isAtLeast(version, 1, 33));
}

/** The one node a pod can run on: it names it, or, as a DaemonSet's pod, requires it by name. */
function nodeOf(pod: Pod): string | undefined {
  const named = pod.spec?.nodeName;
  if (named !== undefined && named !== '') return named;
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const terms = listOf(memberAt(pod.spec, 'affinity', 'nodeAffinity', required, 'nodeSelectorTerms'));
  const names = terms.flatMap((term) =>
    listOf(memberAt(term, 'matchFields')).flatMap((field) =>
      memberAt(field, 'key') === 'metadata.name' && memberAt(field, 'operator') === 'In'
        ? listOf(memberAt(field, 'values')).filter((value) => typeof value === 'string')
        : [],
    ),
  );
  return terms.length === 1 && names.length === 1 ? names[0] : undefined;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const match = /^v?(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [have, haveMinor] = [Number(match[1]), Number(match[2])];
  return have > major || (have === major && haveMinor >= minor);
}
