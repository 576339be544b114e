// ServiceAccount, of Kubernetes' core group: only its metadata is read.
import { message } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

export const serviceAccount = defineKind({
  kind: 'ServiceAccount',
  group: '',
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  categories: [],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'The identity that pods run as.',
  body: message('A ServiceAccount.', {}, { unknownFields: 'drop' }),
});
export type ServiceAccount = ObjectOfDef<typeof serviceAccount>;
