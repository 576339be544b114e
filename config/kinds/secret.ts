// Secret, of Kubernetes' core group: certificates and keys of gateways.
import { caKeys, certificateKeys, crlKeys, ocspKey, privateKeys } from './credential-keys.ts';
import { bytes, message, someOf, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

/** The keys that are read. */
const keys = [...certificateKeys, ...privateKeys, ...caKeys, ...crlKeys, ocspKey] as const;

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
      data: someOf(bytes('A value.'), keys, 'Values in base64.'),
      stringData: someOf(text('A value.'), keys, 'Values as text, over `data`.'),
    },
    { unknownFields: 'drop' },
  ),
});
export type Secret = ObjectOfDef<typeof secret>;
