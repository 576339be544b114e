// WorkloadEntry: one workload outside of Kubernetes, such as a virtual machine.
import { ageColumn, meshStatus, networkingVersions } from './common.ts';
import { type CelRule, portInRange } from './crd-keywords.ts';
import { mapOf, message, required, text, uint32, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const workloadEntryFields = {
  address: text('IP address, DNS name or `unix:///path` of the workload.', {
    crd: {
      maxLength: 256,
      rules: [
        {
          message: 'UDS must be an absolute path or abstract socket',
          rule: "self.startsWith('unix://') ? (self.substring(7, 8) == '/' || self.substring(7, 8) == '@') : true",
        },
        { message: 'UDS may not be a dir', rule: "self.startsWith('unix://') ? !self.endsWith('/') : true" },
      ],
    },
  }),
  ports: mapOf(
    uint32('The port number at the workload.', { crd: { rules: [portInRange] } }),
    "Port numbers by the service's port names, where they differ from the service's target ports.",
    {
      crd: {
        maxProperties: 128,
        rules: [
          {
            message: 'port name must be valid',
            rule: "self.all(key, size(key) < 63 && key.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
          },
        ],
      },
    },
  ),
  labels: mapOf(text('Label value.'), 'Labels of the workload.', { crd: { maxProperties: 256 } }),
  network: text('Network that the address belongs to.', { crd: { maxLength: 2048 } }),
  locality: text('`region/zone/sub-zone` of the workload.', { crd: { maxLength: 2048 } }),
  weight: uint32('Share of the load, relative to the other endpoints.'),
  serviceAccount: text('Service account that the workload runs as.', { crd: { maxLength: 253 } }),
};

const addressRequired: CelRule = { message: 'Address is required', rule: 'has(self.address) || has(self.network)' };
const noPortsOnSocket: CelRule = {
  message: 'UDS may not include ports',
  rule: "(has(self.address) ? self.address : '').startsWith('unix://') ? !has(self.ports) : true",
};

/** A workload by address: the spec of WorkloadEntry, and the endpoints of a ServiceEntry. */
export const workloadEndpoint = message('One workload by its address.', workloadEntryFields, {
  crd: { rules: [addressRequired, noPortsOnSocket] },
});
export type WorkloadEndpoint = ValueOf<typeof workloadEndpoint>;

/** The same without an address, as WorkloadGroup's template. */
export const workloadTemplate = message('What the workloads have in common.', workloadEntryFields, {
  crd: { rules: [noPortsOnSocket] },
});

export const workloadEntry = defineKind({
  kind: 'WorkloadEntry',
  group: 'networking.istio.io',
  plural: 'workloadentries',
  singular: 'workloadentry',
  shortNames: ['we'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    ageColumn,
    { name: 'Address', type: 'string', jsonPath: '.spec.address', description: 'Address of the workload.' },
  ],
  description: 'One workload outside of Kubernetes, selected by the labels that a ServiceEntry names.',
  body: message('A WorkloadEntry.', { spec: required(workloadEndpoint), status: meshStatus }),
});
export type WorkloadEntry = ObjectOfDef<typeof workloadEntry>;
