// Tables for the small parts of injection: quantities, durations, merging, networks, URLs, images, owners.
import { describe, expect, test } from 'vitest';
import { canonicalDuration } from './duration.ts';
import { proxyImageOf } from './image.ts';
import { proxyEnvOf } from './inject-url.ts';
import { mergeContainer, mergePod } from './merge.ts';
import { appendNetwork } from './networks.ts';
import { proxyIdsOf } from './openshift.ts';
import { canonicalQuantity } from './quantity.ts';
import { valuesOf } from './values.ts';
import { workloadOfPod } from './workload-meta.ts';

test.each([
  ['2000m', '2'],
  ['1024Mi', '1Gi'],
  ['1.5Gi', '1536Mi'],
  ['333Mi', '333Mi'],
  ['0', '0'],
  ['0.5', '500m'],
  ['1e3', '1e3'],
  ['512Ki', '512Ki'],
  ['128974848', '128974848'],
  ['lots', undefined],
  ['', undefined],
])('quantity %s is %s', (text, canonical) => {
  expect(canonicalQuantity(text)).toBe(canonical);
});

test.each([
  ['10ms', '0.010s'],
  ['1m30s', '90s'],
  ['1.5h', '5400s'],
  ['1us', '0.000001s'],
  ['5', undefined],
  ['', undefined],
])('duration %s is %s', (text, canonical) => {
  expect(canonicalDuration(text)).toBe(canonical);
});

describe('strategic merge', () => {
  test('merges named things, replaces plain lists, and deletes by null', () => {
    const base = { name: 'c', args: ['a'], tty: true, env: [{ name: 'A', value: '1' }] };
    const overlay = { args: ['b'], tty: null, env: [{ name: 'B' }, { name: 'A', value: '2' }] };
    expect(mergeContainer(base, overlay)).toEqual({
      name: 'c',
      args: ['b'],
      env: [{ name: 'B' }, { name: 'A', value: '2' }],
    });
  });

  test('merges containers by name and mounts by path', () => {
    const base = { spec: { containers: [{ name: 'a', volumeMounts: [{ name: 'v', mountPath: '/x' }] }] } };
    const overlay = { spec: { containers: [{ name: 'a', volumeMounts: [{ name: 'w', mountPath: '/x' }] }] } };
    expect(mergePod(base, overlay)).toEqual(overlay);
  });

  test('does not touch the prototype', () => {
    const overlay = JSON.parse('{"__proto__":{"evil":1}}');
    expect((mergeContainer({ name: 'a' }, overlay) as { evil?: number }).evil).toBeUndefined();
  });
});

test.each([
  [undefined, 'ns/n'],
  ['other', 'other, ns/n'],
  ['a, ns/n', 'a, ns/n'],
  ['[]', '[{"name": "n", "namespace": "ns"}]'],
  ['[{"name": "x"}]', '[{"name": "x"}, {"name": "n", "namespace": "ns"}]'],
])('network appended to %s is %s', (existing, result) => {
  expect(appendNetwork(existing, 'ns/n')).toBe(result);
});

test.each<[string, Record<string, string> | 'refused']>([
  ['/inject', {}],
  ['/inject/', {}],
  ['/inject/cluster/west/net/n1', { ISTIO_META_CLUSTER_ID: 'west', ISTIO_META_NETWORK: 'n1' }],
  ['/inject/cluster/a--slash--b/foo/1', { ISTIO_META_CLUSTER_ID: 'a/b', FOO: '1' }],
  ['/inject/cluster', {}],
  ['/inject/:ENV:cluster=c1:ENV:net=n=1', { ISTIO_META_CLUSTER_ID: 'c1', ISTIO_META_NETWORK: 'n=1' }],
  ['/inject/a b/c', 'refused'],
  [`/inject/cluster/${'x'.repeat(5_000)}`, 'refused'],
])('URL %s', (path, env) => {
  const result = proxyEnvOf(path);
  expect('env' in result ? result.env : 'refused').toEqual(env);
});

test.each([
  ['1.2', '', undefined, 'h/proxyv2:1.2'],
  ['1.2', 'distroless', undefined, 'h/proxyv2:1.2-distroless'],
  ['1.2-distroless', '', undefined, 'h/proxyv2:1.2-distroless'],
  ['1.2-distroless', '', 'debug', 'h/proxyv2:1.2-debug'],
  ['1.2', 'distroless', 'default', 'h/proxyv2:1.2'],
  ['sha256:abc', '', 'debug', 'h/proxyv2@sha256:abc'],
])('image of tag %s, variant %s, annotation %s', (tag, variant, annotation, image) => {
  const values = valuesOf({ global: { hub: 'h', tag, variant } });
  const annotations = annotation === undefined ? {} : { 'sidecar.istio.io/proxyImageType': annotation };
  expect(proxyImageOf(values, 'proxyv2', {}, annotations)).toBe(image);
});

test.each([
  ['1000620000/10000', '1000620000/10000', 1_000_629_999, 1_000_629_999],
  ['5-9', undefined, 9, 1337],
  ['nonsense', 'x', 1337, 1337],
])('OpenShift ranges %s and %s', (uidRange, groups, uid, gid) => {
  const annotations = {
    'openshift.io/sa.scc.uid-range': uidRange,
    ...(groups === undefined ? {} : { 'openshift.io/sa.scc.supplemental-groups': groups }),
  };
  expect(proxyIdsOf(annotations)).toEqual({ uid, gid });
});

test.each([
  ['ReplicaSet', 'web-abc', { 'pod-template-hash': 'abc' }, 'Deployment', 'web'],
  ['ReplicaSet', 'web-abc', {}, 'ReplicaSet', 'web-abc'],
  ['ReplicaSet', 'web-abc', { 'rollouts-pod-template-hash': 'abc' }, 'Rollout', 'web'],
  ['Job', 'backup-28473645', {}, 'CronJob', 'backup'],
  ['Job', 'backup-1', {}, 'Job', 'backup-1'],
  ['ReplicationController', 'web-1', { deploymentconfig: 'web' }, 'DeploymentConfig', 'web'],
  ['StatefulSet', 'db', {}, 'StatefulSet', 'db'],
])('owner %s %s', (kind, name, labels, workloadKind, workloadName) => {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind, name, controller: true }];
  const pod = { metadata: { generateName: 'x-', labels: labels as Record<string, string>, ownerReferences } };
  expect(workloadOfPod(pod, 'ns')).toMatchObject({ kind: workloadKind, name: workloadName, namespace: 'ns' });
});
