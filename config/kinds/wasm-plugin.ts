// WasmPlugin: a WebAssembly module in the filter chain of proxies.
import { ageColumn, meshStatus, targetRef, workloadSelector } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, int32, listOf, message, required } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';
import { trafficSelector, wasmFields } from './wasm.ts';

export const wasmPlugin = defineKind({
  kind: 'WasmPlugin',
  group: 'extensions.istio.io',
  plural: 'wasmplugins',
  singular: 'wasmplugin',
  shortNames: [],
  categories: ['istio-io', 'extensions-istio-io'],
  versions: ['v1alpha1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [ageColumn],
  description: 'Runs a WebAssembly module in proxies; TrafficExtension is its successor.',
  body: message('A WasmPlugin.', {
    spec: required(
      message(
        'A module and where it runs.',
        {
          selector: workloadSelector,
          targetRef,
          targetRefs: listOf(targetRef, 'Objects that the plugin is attached to.', { crd: { maxItems: 16 } }),
          ...wasmFields,
          phase: choice(['UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS'], 'Before which built-in filters it runs.'),
          priority: int32('Order in its phase, highest first.', { crd: { nullable: true } }),
          match: listOf(trafficSelector, 'Traffic that the module sees; all when absent.'),
        },
        {
          crd: {
            required: ['url'],
            rules: [
              atMostOneOf(['selector', 'targetRef', 'targetRefs'], 'only one of targetRefs or selector can be set'),
            ],
          },
        },
      ),
    ),
    status: meshStatus,
  }),
});
export type WasmPlugin = ObjectOfDef<typeof wasmPlugin>;
