// Service, of Kubernetes' core group: the fields that a mesh control plane reads.
import { flag, int32, intOrText, listOf, mapOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

export const servicePort = message(
  'A port of the service.',
  {
    name: text('Name; its prefix may tell the protocol.'),
    port: int32('Port number.'),
    protocol: text('`TCP`, `UDP` or `SCTP`; TCP by default.'),
    appProtocol: text('Application protocol, over the prefix of the name.'),
    targetPort: intOrText('Port of the pods, by number or by name; `port` by default.'),
    nodePort: int32('Port on every node.'),
  },
  drop,
);
export type ServicePort = ValueOf<typeof servicePort>;

const spec = message(
  'What is wanted.',
  {
    type: text('`ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.'),
    clusterIP: text('Virtual address; `None` for headless services.'),
    clusterIPs: listOf(text('An address.'), 'Virtual addresses, one for each family.'),
    ipFamilies: listOf(text('`IPv4` or `IPv6`.'), 'Address families.'),
    ipFamilyPolicy: text('`SingleStack`, `PreferDualStack` or `RequireDualStack`.'),
    ports: listOf(servicePort, 'Ports.'),
    selector: mapOf(text('Label value.'), 'Labels of the pods that serve.'),
    externalName: text('DNS name that stands for the service; ExternalName only.'),
    externalIPs: listOf(text('An address.'), 'Further addresses of the service.'),
    loadBalancerIP: text('Address asked of the load balancer.'),
    publishNotReadyAddresses: flag('Whether endpoints that are not ready count as ready.'),
    internalTrafficPolicy: text('`Cluster` or `Local`.'),
    externalTrafficPolicy: text('`Cluster` or `Local`.'),
    trafficDistribution: text('`PreferClose`, `PreferSameZone` or `PreferSameNode`.'),
    sessionAffinity: text('`None` or `ClientIP`.'),
  },
  drop,
);
export type ServiceSpec = ValueOf<typeof spec>;

const status = message(
  'What is so.',
  {
    loadBalancer: message(
      'The load balancer.',
      {
        ingress: listOf(
          message('One point of entry.', { ip: text('Address.'), hostname: text('DNS name.') }, drop),
          'Points of entry.',
        ),
      },
      drop,
    ),
  },
  drop,
);

export const service = defineKind({
  kind: 'Service',
  group: '',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'A name and address for a set of pods.',
  body: message('A Service.', { spec, status }, drop),
});
export type Service = ObjectOfDef<typeof service>;
