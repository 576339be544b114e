// ProxyConfig: settings of the proxies of a mesh, a namespace or selected workloads.
import { meshStatus, proxyImage, workloadSelector } from './common.ts';
import { int32, mapOf, message, text } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

export const proxyConfig = defineKind({
  kind: 'ProxyConfig',
  group: 'networking.istio.io',
  plural: 'proxyconfigs',
  singular: 'proxyconfig',
  shortNames: [],
  categories: ['istio-io', 'networking-istio-io'],
  versions: ['v1beta1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [],
  description: 'Settings of proxies that need a new pod to take effect.',
  body: message('A ProxyConfig.', {
    spec: message('Settings of proxies.', {
      selector: workloadSelector,
      concurrency: int32('Worker threads; 0 is one for each core.', { crd: { minimum: 0, nullable: true } }),
      environmentVariables: mapOf(
        text('Value.', { crd: { maxLength: 2048 } }),
        'Further environment variables of the proxy.',
      ),
      image: proxyImage,
    }),
    status: meshStatus,
  }),
});
export type ProxyConfigObject = ObjectOfDef<typeof proxyConfig>;
