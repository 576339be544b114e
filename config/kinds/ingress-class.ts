// IngressClass, of Kubernetes' group networking.k8s.io: which controller serves the Ingresses that name it.
import { message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

export const ingressClass = defineKind({
  kind: 'IngressClass',
  group: 'networking.k8s.io',
  plural: 'ingressclasses',
  singular: 'ingressclass',
  shortNames: [],
  categories: [],
  versions: ['v1'],
  scope: 'Cluster',
  builtin: true,
  printerColumns: [],
  description: 'Says which controller serves the Ingresses that name it.',
  body: message(
    'An IngressClass.',
    { spec: message('What is wanted.', { controller: text('`istio.io/ingress-controller` is the mesh.') }, drop) },
    drop,
  ),
});
export type IngressClass = ObjectOfDef<typeof ingressClass>;
