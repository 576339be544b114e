// Tables for the choice of native sidecars: annotation, setting, and the kubelets of the nodes in question.
import { expect, test } from 'vitest';
import { emptyCluster, testPod, testSettings } from '../test/support/webhook.ts';
import type { InjectionSettings } from './context.ts';
import { isNative } from './native.ts';

const versions: Readonly<Record<string, string>> = { new: 'v1.33.2-gke.1', newer: 'v1.40.0', old: 'v1.32.9' };
const requiring = (node: string) => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
    },
  },
});

test.each<[string, InjectionSettings['nativeSidecars'], readonly string[], Record<string, string>, object, boolean]>([
  ['all nodes are new', 'auto', ['new', 'newer'], {}, {}, true],
  ['one node is old', 'auto', ['new', 'old'], {}, {}, false],
  ['no node is known', 'auto', [], {}, {}, false],
  ['its node is new', 'auto', ['new', 'old'], {}, { nodeName: 'new' }, true],
  ['its node is old', 'auto', ['new', 'old'], {}, { nodeName: 'old' }, false],
  ['its node is unknown', 'auto', ['new'], {}, { nodeName: 'other' }, false],
  ['a DaemonSet put it on a new node', 'auto', ['new', 'old'], {}, { affinity: requiring('new') }, true],
  ['a DaemonSet put it on an old node', 'auto', ['new', 'old'], {}, { affinity: requiring('old') }, false],
  ['it is switched off', 'disabled', ['new'], {}, {}, false],
  ['it is switched on', 'enabled', ['old'], {}, {}, true],
  ['the pod opts in', 'disabled', [], { 'sidecar.istio.io/nativeSidecar': 'true' }, {}, true],
  ['the pod opts out', 'enabled', ['new'], { 'sidecar.istio.io/nativeSidecar': 'false' }, {}, false],
])('where %s', (_name, nativeSidecars, nodes, annotations, spec, native) => {
  const pod = testPod(annotations);
  const cluster = {
    ...emptyCluster,
    kubeletVersions: (_cluster: string, node?: string) =>
      nodes.filter((name) => node === undefined || name === node).map((name) => versions[name] ?? ''),
  };
  const settings = testSettings({}, {}, { nativeSidecars });
  expect(isNative({ ...pod, spec: { ...pod.spec, ...spec } }, settings, cluster, 'Kubernetes')).toBe(native);
});
