// Whether a proxy is a native sidecar: an init container that keeps running (KEP-753, on by default from kubelet 1.33).
import type { ClusterView, InjectionSettings } from './context.ts';
import { annotationsOf, type Pod } from './pod.ts';

/**
 * The pod's annotation wins; then the setting; `auto` asks whether the kubelet of the pod's node, or of every node
 * where it names none, can do it.
 */
export function isNative(pod: Pod, settings: InjectionSettings, cluster: ClusterView, clusterId: string): boolean {
  const annotation = annotationsOf(pod)['sidecar.istio.io/nativeSidecar'];
  if (annotation !== undefined) return annotation === 'true';
  if (settings.nativeSidecars !== 'auto') return settings.nativeSidecars === 'enabled';
  const node = pod.spec?.nodeName;
  const versions =
    node === undefined || node === '' ? cluster.kubeletVersions(clusterId) : cluster.kubeletVersions(clusterId, node);
  return versions.length > 0 && versions.every((version) => isAtLeast(version, 1, 33));
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const match = /^v?(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [have, haveMinor] = [Number(match[1]), Number(match[2])];
  return have > major || (have === major && haveMinor >= minor);
}
