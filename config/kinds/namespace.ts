// Namespace, of Kubernetes' core group: only its metadata is read.
import { message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

export const namespace = defineKind({
  kind: 'Namespace',
  group: '',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  versions: ['v1'],
  scope: 'Cluster',
  builtin: true,
  printerColumns: [],
  description: 'A scope of names, with labels for injection, networks and discovery.',
  body: message(
    'A Namespace.',
    {
      status: message('What is so.', { phase: text('`Active` or `Terminating`.') }, { unknownFields: 'drop' }),
    },
    { unknownFields: 'drop' },
  ),
});
export type Namespace = ObjectOfDef<typeof namespace>;
