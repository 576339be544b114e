// Pod, of Kubernetes' core group: the fields that a mesh control plane reads.
import { flag, int32, listOf, mapOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

const container = message(
  'A container.',
  {
    name: text('Name.'),
    image: text('Image.'),
    restartPolicy: text('`Always` makes an init container a sidecar.'),
    ports: listOf(
      message(
        'A port.',
        { name: text('Name.'), containerPort: int32('Port number.'), protocol: text('`TCP`, `UDP` or `SCTP`.') },
        drop,
      ),
      'Ports.',
    ),
  },
  drop,
);
export type PodContainer = ValueOf<typeof container>;

const spec = message(
  'What is wanted.',
  {
    nodeName: text('Node it runs on.'),
    serviceAccountName: text('Service account it runs as.'),
    hostNetwork: flag("Whether it uses the node's network."),
    hostname: text('Host name.'),
    subdomain: text('Headless service that gives it a DNS name.'),
    containers: listOf(container, 'Containers.'),
    initContainers: listOf(container, 'Containers that run first.'),
  },
  drop,
);
export type PodSpec = ValueOf<typeof spec>;

/** What a controller makes pods of. */
export const podTemplate = message(
  'What each pod is made of.',
  {
    metadata: message(
      'Metadata of each pod.',
      { labels: mapOf(text('A label.'), 'Labels.'), annotations: mapOf(text('An annotation.'), 'Annotations.') },
      drop,
    ),
    spec,
  },
  drop,
);
export type PodTemplate = ValueOf<typeof podTemplate>;

const status = message(
  'What is so.',
  {
    phase: text('`Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.'),
    podIP: text('Address.'),
    podIPs: listOf(message('An address.', { ip: text('The address.') }, drop), 'Addresses, one for each family.'),
    hostIP: text('Address of its node.'),
    conditions: listOf(
      message('A condition.', { type: text('What is judged.'), status: text('`True`, `False` or `Unknown`.') }, drop),
      'Conditions, of which Ready counts.',
    ),
  },
  drop,
);

export const pod = defineKind({
  kind: 'Pod',
  group: '',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'A running workload.',
  body: message('A Pod.', { spec, status }, drop),
});
export type Pod = ObjectOfDef<typeof pod>;
