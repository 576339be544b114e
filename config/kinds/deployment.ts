// Deployment, of Kubernetes' apps group: what the laptop mode runs as pods.
import { int32, message } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';
import { podTemplate } from './pod.ts';

const drop = { unknownFields: 'drop' } as const;

export const deployment = defineKind({
  kind: 'Deployment',
  group: 'apps',
  plural: 'deployments',
  singular: 'deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description:
    'Pods of one make. Read in laptop mode only, which runs them; in a cluster pods come from its own controllers.',
  body: message(
    'A Deployment.',
    {
      spec: message(
        'What is wanted.',
        { replicas: int32('How many pods; 1 when absent.'), template: podTemplate },
        drop,
      ),
    },
    drop,
  ),
});
export type Deployment = ObjectOfDef<typeof deployment>;
