// Secret, of Kubernetes' core group: certificates and keys of gateways.
import { bytes, mapOf, message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

export const secret = defineKind({
  kind: 'Secret',
  group: '',
  plural: 'secrets',
  singular: 'secret',
  shortNames: [],
  categories: [],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'Certificates and keys. Its values never appear in messages.',
  body: message(
    'A Secret.',
    {
      type: text('`kubernetes.io/tls`, `Opaque` and others.'),
      data: mapOf(bytes('A value.'), 'Values in base64.'),
      stringData: mapOf(text('A value.'), 'Values as text, over `data`.'),
    },
    { unknownFields: 'drop' },
  ),
});
export type Secret = ObjectOfDef<typeof secret>;
