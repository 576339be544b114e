// Node, of Kubernetes' core group: its labels give the locality, its addresses where gateways are reached: in the
// status of Ingresses, and from other networks through Services of type NodePort.
import { listOf, message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

export const node = defineKind({
  kind: 'Node',
  group: '',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  categories: [],
  versions: ['v1'],
  scope: 'Cluster',
  builtin: true,
  printerColumns: [],
  description:
    'A machine: its labels tell region, zone and subzone, its external addresses where gateways are reached.',
  body: message(
    'A Node.',
    {
      status: message(
        'What is so.',
        {
          addresses: listOf(
            message(
              'An address.',
              { type: text('`InternalIP`, `ExternalIP` or `Hostname`.'), address: text('The address.') },
              drop,
            ),
            'Addresses.',
          ),
          nodeInfo: message('About the software.', { kubeletVersion: text('Version of the kubelet.') }, drop),
        },
        drop,
      ),
    },
    drop,
  ),
});
export type Node = ObjectOfDef<typeof node>;
