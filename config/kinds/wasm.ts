// WebAssembly modules in proxies: the fields that WasmPlugin and TrafficExtension have in common.
import { choice, listOf, message, struct, text, uint32, type ValueOf } from './field.ts';

const envVar = message(
  'An environment variable of the VM.',
  {
    name: text('Variable name.', { crd: { minLength: 1, maxLength: 256 } }),
    valueFrom: choice(['INLINE', 'HOST'], "Whether the value is given here or taken from the proxy's environment."),
    value: text('Value; INLINE only.', { crd: { maxLength: 2048 } }),
  },
  {
    crd: {
      required: ['name'],
      rules: [
        {
          message: 'value may only be set when valueFrom is INLINE',
          rule: "(has(self.valueFrom) ? self.valueFrom : '') != 'HOST' || !has(self.value)",
        },
      ],
    },
  },
);

/** How a module is fetched and run. */
export const wasmFields = {
  url: text('`oci://`, `https://`, `http://` or `file://` URL of the module; without a scheme an OCI image.', {
    crd: {
      minLength: 1,
      rules: [
        {
          message: 'url must have schema one of [http, https, file, oci]',
          rule:
            "isURL(self) ? (url(self).getScheme() in ['', 'http', 'https', 'file', 'oci']) : " +
            "(isURL('http://' + self) && url('http://' + self).getScheme() in ['', 'http', 'https', 'file', 'oci'])",
        },
      ],
    },
  }),
  sha256: text('Checksum of the module or image, in hex.', { crd: { pattern: '(^$|^[a-f0-9]{64}$)' } }),
  imagePullPolicy: choice(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always'], 'When an image is pulled again.'),
  imagePullSecret: text('Secret with the credentials for pulling.', { crd: { minLength: 1, maxLength: 253 } }),
  verificationKey: text('Public key that the image must be signed with.'),
  pluginConfig: struct('What the module gets as its configuration.'),
  pluginName: text('Name of the plugin inside the module.', { crd: { minLength: 1, maxLength: 256 } }),
  failStrategy: choice(
    ['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD'],
    'Whether traffic is refused or passed when the module fails, or the module is loaded anew.',
  ),
  vmConfig: message('Settings of the VM.', {
    env: listOf(envVar, 'Environment variables.', { crd: { maxItems: 256, listType: 'map', listMapKeys: ['name'] } }),
  }),
  type: choice(['UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK'], 'HTTP filter (default) or network filter.'),
};

/** Which traffic an extension sees. */
export const trafficSelector = message('Traffic by direction and port.', {
  mode: choice(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER'], 'Outbound, inbound or both.'),
  ports: listOf(
    message(
      'A port.',
      { number: uint32('Port number.', { crd: { minimum: 1, maximum: 65535 } }) },
      { crd: { required: ['number'] } },
    ),
    'Ports; any when absent.',
    { crd: { listType: 'map', listMapKeys: ['number'] } },
  ),
});
export type TrafficSelector = ValueOf<typeof trafficSelector>;
