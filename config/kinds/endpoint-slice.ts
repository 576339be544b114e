// EndpointSlice (discovery.k8s.io): addresses that serve a service.
import { flag, int32, listOf, mapOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

export const sliceEndpoint = message(
  'One endpoint.',
  {
    addresses: listOf(text('An address.'), 'Addresses; the first counts.'),
    conditions: message(
      'Its state; absent values count as true for ready and serving.',
      {
        ready: flag('Takes traffic.'),
        serving: flag('Would take traffic, were it not terminating.'),
        terminating: flag('Is being stopped.'),
      },
      drop,
    ),
    hostname: text('Host name of the endpoint, for headless services.'),
    nodeName: text('Node it runs on.'),
    zone: text('Zone it is in.'),
    targetRef: message(
      'The object behind the endpoint.',
      { kind: text('Kind, mostly Pod.'), name: text('Name.'), namespace: text('Namespace.'), uid: text('UID.') },
      drop,
    ),
    deprecatedTopology: mapOf(text('Value.'), 'Topology of slices of v1beta1.'),
  },
  drop,
);
export type SliceEndpoint = ValueOf<typeof sliceEndpoint>;

export const slicePort = message(
  'A port of every endpoint.',
  {
    name: text('Name of the service port.'),
    port: int32('Port number.'),
    protocol: text('`TCP`, `UDP` or `SCTP`.'),
    appProtocol: text('Application protocol.'),
  },
  drop,
);
export type SlicePort = ValueOf<typeof slicePort>;

export const endpointSlice = defineKind({
  kind: 'EndpointSlice',
  group: 'discovery.k8s.io',
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  categories: [],
  versions: ['v1', 'v1beta1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'Some of the endpoints of a service, with their ports.',
  body: message(
    'An EndpointSlice.',
    {
      addressType: text('`IPv4`, `IPv6` or `FQDN`.'),
      endpoints: listOf(sliceEndpoint, 'Endpoints.'),
      ports: listOf(slicePort, 'Ports.'),
    },
    drop,
  ),
});
export type EndpointSlice = ObjectOfDef<typeof endpointSlice>;
