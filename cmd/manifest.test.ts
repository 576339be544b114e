// The manifests that the command prints.

import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { kinds } from '../config/kinds/kinds.ts';
import { followedKinds } from './kube/followed-kinds.ts';
import { crdManifest, rbacManifest } from './manifest.ts';

test('crds are one YAML document each, in the order of their names, the same bytes every time', () => {
  const text = crdManifest();
  const documents = parseAllDocuments(text).map((document) => document.toJS());
  const names = documents.map((document) => document.metadata.name);
  expect(names).toContain('virtualservices.networking.istio.io');
  expect(names).toContain('trafficextensions.extensions.istio.io');
  expect(names).toHaveLength(15);
  expect(names).toEqual([...names].sort());
  expect(documents.every((document) => document.kind === 'CustomResourceDefinition')).toBe(true);
  expect(crdManifest()).toBe(text);
});

test('the role reads the kinds that are followed in a cluster, and no others', () => {
  const objects = parseAllDocuments(rbacManifest({ namespace: 'istio-system', revision: '' })).map((d) => d.toJS());
  const { rules } = objects.find(({ kind }) => kind === 'ClusterRole') as {
    readonly rules: readonly { apiGroups?: string[]; resources?: string[]; verbs: string[] }[];
  };
  const read = rules
    .filter(({ verbs }) => verbs.join() === 'list,watch')
    .flatMap(({ apiGroups = [], resources = [] }) => resources.map((resource) => `${apiGroups[0]}/${resource}`));
  expect(read.sort()).toEqual(followedKinds.map((kind) => `${kinds[kind].group}/${kinds[kind].plural}`).sort());
  expect(read).not.toContain('apps/deployments');
});
