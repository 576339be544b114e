// ConfigMap, of Kubernetes' core group: mesh settings, CA bundles of backends, injection values. What others keep in ConfigMaps is dropped.
import { caKeys, crlKeys } from './credential-keys.ts';
import { message, someOf, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

/**
 * The keys that are read: of mesh settings (`istio`), of the injector's (`istio-sidecar-injector`), of the roots and
 * revocation lists in every namespace, and of CA bundles.
 */
const keys = [
  ...(['mesh', 'meshNetworks', 'config', 'values', 'root-cert.pem', 'ca-crl.pem'] as const),
  ...caKeys,
  ...crlKeys,
] as const;

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
      data: someOf(text('A value.'), keys, 'Texts.'),
    },
    { unknownFields: 'drop' },
  ),
});
export type ConfigMap = ObjectOfDef<typeof configMap>;
