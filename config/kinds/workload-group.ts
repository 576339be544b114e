// WorkloadGroup: a template for the WorkloadEntries of workloads that register themselves.
import { ageColumn, meshStatus, networkingVersions, readinessProbe } from './common.ts';
import { mapOf, message, required, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';
import { workloadTemplate } from './workload-entry.ts';

export const workloadGroup = defineKind({
  kind: 'WorkloadGroup',
  group: 'networking.istio.io',
  plural: 'workloadgroups',
  singular: 'workloadgroup',
  shortNames: ['wg'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [ageColumn],
  description: 'Describes workloads outside of Kubernetes that register themselves as WorkloadEntries.',
  body: message('A WorkloadGroup.', {
    spec: required(
      message('What the workloads of the group have in common.', {
        metadata: message('Metadata given to the WorkloadEntries.', {
          labels: mapOf(text('Label value.'), 'Labels.', { crd: { maxProperties: 256 } }),
          annotations: mapOf(text('Annotation value.'), 'Annotations.', { crd: { maxProperties: 256 } }),
        }),
        template: required(workloadTemplate),
        probe: readinessProbe,
      }),
    ),
    status: meshStatus,
  }),
});
export type WorkloadGroup = ObjectOfDef<typeof workloadGroup>;
