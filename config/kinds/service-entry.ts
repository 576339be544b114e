// ServiceEntry: a service that the mesh knows beside those of Kubernetes.
import { ageColumn, labelsSelector, meshStatus, networkingVersions } from './common.ts';
import { atMostOneOf, portInRange } from './crd-keywords.ts';
import { choice, listOf, message, required, text, uint32, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';
import { workloadEndpoint } from './workload-entry.ts';

const serviceEntryPort = message(
  'A port of the service.',
  {
    number: uint32('Port number.', { crd: { rules: [portInRange] } }),
    protocol: text('`HTTP`, `HTTPS`, `GRPC`, `HTTP2`, `MONGO`, `TCP`, `TLS`, …', { crd: { maxLength: 256 } }),
    name: text('Name of the port, unique in the entry.', { crd: { maxLength: 256 } }),
    targetPort: uint32('Port of the endpoints; the same number when absent.', { crd: { rules: [portInRange] } }),
  },
  { crd: { required: ['number', 'name'] } },
);
export type ServiceEntryPort = ValueOf<typeof serviceEntryPort>;

export const serviceEntry = defineKind({
  kind: 'ServiceEntry',
  group: 'networking.istio.io',
  plural: 'serviceentries',
  singular: 'serviceentry',
  shortNames: ['se'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'Names of the service.' },
    {
      name: 'Location',
      type: 'string',
      jsonPath: '.spec.location',
      description: 'Whether the service is part of the mesh (MESH_INTERNAL) or not (MESH_EXTERNAL).',
    },
    {
      name: 'Resolution',
      type: 'string',
      jsonPath: '.spec.resolution',
      description: 'How the endpoints are found (NONE, STATIC, DNS, …).',
    },
    ageColumn,
  ],
  description: 'Adds a service to the mesh: outside of it, or made of virtual machines or selected pods.',
  body: message('A ServiceEntry.', {
    spec: required(
      message(
        'A service by its names, addresses, ports and endpoints.',
        {
          hosts: required(
            listOf(
              text('DNS name; `*.` at the front stands for any first part.', {
                crd: { rules: [{ message: 'hostname cannot be wildcard', rule: "self != '*'" }] },
              }),
              'Names of the service.',
              { crd: { minItems: 1, maxItems: 256 } },
            ),
          ),
          addresses: listOf(
            text('IP address or CIDR range.', { crd: { maxLength: 64 } }),
            'Virtual addresses of the service.',
            { crd: { maxItems: 256 } },
          ),
          ports: listOf(serviceEntryPort, 'Ports of the service.', {
            crd: {
              maxItems: 256,
              listType: 'map',
              listMapKeys: ['name'],
              rules: [
                {
                  message: 'port number cannot be duplicated',
                  rule: 'self.all(l1, self.exists_one(l2, l1.number == l2.number))',
                },
              ],
            },
          }),
          location: choice(['MESH_EXTERNAL', 'MESH_INTERNAL'], 'Whether the service is part of the mesh.'),
          resolution: choice(
            ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'],
            'How the endpoints are found: as the caller addressed them, listed, or looked up.',
          ),
          endpoints: listOf(workloadEndpoint, 'The endpoints; excludes workloadSelector.', { crd: { maxItems: 4096 } }),
          workloadSelector: labelsSelector,
          exportTo: listOf(text('`.`, `*` or a namespace.'), 'Namespaces that see the service; all when absent.'),
          subjectAltNames: listOf(text('A DNS name or URI.'), 'Names of which the server certificate must carry one.'),
        },
        {
          crd: {
            rules: [
              atMostOneOf(['workloadSelector', 'endpoints'], 'only one of WorkloadSelector or Endpoints can be set'),
              {
                message: 'CIDR addresses are allowed only for NONE/STATIC resolution types',
                rule:
                  "!((has(self.addresses) ? self.addresses : []).exists(k, k.contains('/')) && " +
                  "!((has(self.resolution) ? self.resolution : 'NONE') in ['STATIC', 'NONE']))",
              },
              {
                message: 'NONE mode cannot set endpoints',
                rule: "((has(self.resolution) ? self.resolution : 'NONE') == 'NONE') ? !has(self.endpoints) : true",
              },
              {
                message: 'DNS_ROUND_ROBIN mode cannot have multiple endpoints',
                rule:
                  "((has(self.resolution) ? self.resolution : '') == 'DNS_ROUND_ROBIN') ? " +
                  '((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true',
              },
            ],
          },
        },
      ),
    ),
    status: meshStatus,
  }),
});
export type ServiceEntry = ObjectOfDef<typeof serviceEntry>;
