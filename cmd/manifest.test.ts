// The manifests that the command prints.

import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { crdManifest } from './manifest.ts';

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
