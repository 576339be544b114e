// PeerAuthentication: which workloads accept or demand mutual TLS.
import { ageColumn, meshStatus, workloadSelector } from './common.ts';
import { choice, mapByNumber, message, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const mutualTls = message('Whether mutual TLS is accepted or demanded.', {
  mode: choice(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'], 'Plain text only, both, mutual TLS only; UNSET inherits.'),
});
export type MutualTls = ValueOf<typeof mutualTls>;
export type MutualTlsMode = NonNullable<MutualTls['mode']>;

export const peerAuthentication = defineKind({
  kind: 'PeerAuthentication',
  group: 'security.istio.io',
  plural: 'peerauthentications',
  singular: 'peerauthentication',
  shortNames: ['pa'],
  categories: ['istio-io', 'security-istio-io'],
  versions: ['v1', 'v1beta1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    { name: 'Mode', type: 'string', jsonPath: '.spec.mtls.mode', description: 'Mutual TLS mode.' },
    ageColumn,
  ],
  description: 'Whether workloads accept plain text, mutual TLS or both.',
  body: message('A PeerAuthentication.', {
    spec: message(
      'The mode for a mesh, a namespace or selected workloads.',
      {
        selector: workloadSelector,
        mtls: mutualTls,
        portLevelMtls: mapByNumber(mutualTls, 'Modes of single ports of the workload; demands a selector.', {
          crd: {
            minProperties: 1,
            rules: [
              {
                message: 'port must be between 1-65535',
                rule: 'self.all(key, 0 < int(key) && int(key) <= 65535)',
              },
            ],
          },
        }),
      },
      {
        crd: {
          rules: [
            {
              message: 'portLevelMtls requires selector',
              rule:
                'has(self.portLevelMtls) ? (((has(self.selector) && has(self.selector.matchLabels)) ? ' +
                'self.selector.matchLabels : {}).size() > 0) : true',
            },
          ],
        },
      },
    ),
    status: meshStatus,
  }),
});
export type PeerAuthentication = ObjectOfDef<typeof peerAuthentication>;
