// ConfigMap, of Kubernetes' core group: mesh settings, CA bundles of backends, injection values.
import { bytes, mapOf, message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

export const configMap = defineKind({
  kind: 'ConfigMap',
  group: '',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  categories: [],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'Named texts.',
  body: message(
    'A ConfigMap.',
    {
      data: mapOf(text('A value.'), 'Texts.'),
      binaryData: mapOf(bytes('A value.'), 'Bytes in base64.'),
    },
    { unknownFields: 'drop' },
  ),
});
export type ConfigMap = ObjectOfDef<typeof configMap>;
