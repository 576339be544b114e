// Ingress, of Kubernetes' group networking.k8s.io: the fields that a mesh control plane reads.
import { int32, listOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const drop = { unknownFields: 'drop' } as const;

const backend = message(
  'Where requests go.',
  {
    service: message(
      "A Service of the Ingress' namespace.",
      {
        name: text('Name.'),
        port: message(
          'Its port, by one of the two.',
          { name: text('Name of the port.'), number: int32('Port number.') },
          drop,
        ),
      },
      drop,
    ),
    resource: message(
      'Another object, which is not served here.',
      { apiGroup: text('API group.'), kind: text('Kind.'), name: text('Name.') },
      drop,
    ),
  },
  drop,
);
export type IngressBackend = ValueOf<typeof backend>;

const path = message(
  'A path.',
  {
    path: text('The path, beginning with `/`; everything where absent.'),
    pathType: text(
      '`Exact`, `Prefix` (by whole segments) or `ImplementationSpecific` (`/a.*` and `/a/*` are prefixes).',
    ),
    backend,
  },
  drop,
);
export type IngressPath = ValueOf<typeof path>;

const rule = message(
  'Paths of a host.',
  {
    host: text('Host, or a wildcard such as `*.example.com`; all hosts where absent.'),
    http: message('HTTP.', { paths: listOf(path, 'Paths. Of those that match, the longest counts.') }, drop),
  },
  drop,
);
export type IngressRule = ValueOf<typeof rule>;

const tls = message(
  'Hosts of one certificate.',
  {
    hosts: listOf(text('A host.'), 'Hosts; all where empty.'),
    secretName: text("Secret with certificate and key, in the gateway's namespace."),
  },
  drop,
);
export type IngressTls = ValueOf<typeof tls>;

/** A point at which an Ingress can be reached. */
export const ingressPoint = message('A point of entry.', { ip: text('Address.'), hostname: text('DNS name.') }, drop);
export type IngressPoint = ValueOf<typeof ingressPoint>;

export const ingress = defineKind({
  kind: 'Ingress',
  group: 'networking.k8s.io',
  plural: 'ingresses',
  singular: 'ingress',
  shortNames: ['ing'],
  categories: [],
  versions: ['v1'],
  scope: 'Namespaced',
  builtin: true,
  printerColumns: [],
  description: 'Routes requests for hosts and paths from an ingress gateway to Services.',
  body: message(
    'An Ingress.',
    {
      spec: message(
        'What is wanted.',
        {
          ingressClassName: text('IngressClass that decides who serves it.'),
          defaultBackend: backend,
          tls: listOf(tls, 'Certificates.'),
          rules: listOf(rule, 'Rules.'),
        },
        drop,
      ),
      status: message(
        'What is so.',
        { loadBalancer: message('The way in.', { ingress: listOf(ingressPoint, 'Points of entry.') }, drop) },
        drop,
      ),
    },
    drop,
  ),
});
export type Ingress = ObjectOfDef<typeof ingress>;
