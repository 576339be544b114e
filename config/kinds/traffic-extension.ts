// TrafficExtension: a WebAssembly module or a Lua script in the filter chain of proxies.
import { ageColumn, meshStatus, targetRef, workloadSelector } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, int32, listOf, message, required, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';
import { trafficSelector, wasmFields } from './wasm.ts';

const wasm = message('A WebAssembly module.', wasmFields, { crd: { required: ['url'] } });
export type WasmExtension = ValueOf<typeof wasm>;

const lua = message(
  'A Lua script.',
  { inlineCode: text('The script.', { crd: { minLength: 1, maxLength: 65536 } }) },
  { crd: { required: ['inlineCode'] } },
);

export const trafficExtension = defineKind({
  kind: 'TrafficExtension',
  group: 'extensions.istio.io',
  plural: 'trafficextensions',
  singular: 'trafficextension',
  shortNames: [],
  categories: ['istio-io', 'extensions-istio-io'],
  versions: ['v1alpha1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [ageColumn],
  description: 'Runs a WebAssembly module or a Lua script in proxies.',
  body: message('A TrafficExtension.', {
    spec: required(
      message(
        'A module or script and where it runs.',
        {
          selector: workloadSelector,
          targetRefs: listOf(targetRef, 'Objects that the extension is attached to.', { crd: { maxItems: 16 } }),
          phase: choice(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'], 'Before which built-in filters it runs.'),
          priority: int32('Order in its phase, highest first.', { crd: { nullable: true } }),
          match: listOf(trafficSelector, 'Traffic that the extension sees; all when absent.'),
          wasm,
          lua,
        },
        {
          oneofs: [['wasm', 'lua']],
          crd: {
            rules: [
              atMostOneOf(['selector', 'targetRefs'], 'only one of targetRefs or selector can be set'),
              { message: 'exactly one of wasm or lua must be set', rule: 'has(self.wasm) != has(self.lua)' },
            ],
          },
        },
      ),
    ),
    status: meshStatus,
  }),
});
export type TrafficExtension = ObjectOfDef<typeof trafficExtension>;
