// Sidecar: which ports a workload takes traffic on, and which services its proxy knows.
import { connectionPoolSettings, labelsSelector, meshStatus, networkingVersions } from './common.ts';
import { choice, listOf, message, text, uint32, type ValueOf } from './field.ts';
import { serverTlsSettings } from './gateway.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const sidecarPort = message('A port.', {
  number: uint32('Port number; 0 with a Unix socket as bind address.'),
  protocol: text('`HTTP`, `HTTPS`, `GRPC`, `HTTP2`, `MONGO`, `TCP`, `TLS`, …'),
  name: text('Name of the port.'),
  targetPort: uint32('Not used.', { deprecated: true }),
});
export type SidecarPort = ValueOf<typeof sidecarPort>;

const captureMode = choice(
  ['DEFAULT', 'IPTABLES', 'NONE'],
  'Whether traffic is captured by iptables or sent to the proxy by the application.',
);

const sidecarIngress = message(
  'A port that the workload takes traffic on.',
  {
    port: sidecarPort,
    bind: text('IP address that is listened on; IPv4 or IPv6.'),
    captureMode,
    defaultEndpoint: text('Where the traffic goes: `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT`, `unix:///path`.'),
    tls: serverTlsSettings,
    connectionPool: connectionPoolSettings,
  },
  { crd: { required: ['port'] } },
);
export type SidecarIngress = ValueOf<typeof sidecarIngress>;

const sidecarEgress = message(
  'Services that the workload calls, at one port or at all.',
  {
    port: sidecarPort,
    bind: text('IP address or `unix:///path` that is listened on.'),
    captureMode,
    hosts: listOf(
      text('`namespace/host`; `.` is the own namespace, `*` any, `~` none.'),
      'Services that the proxy knows.',
    ),
  },
  { crd: { required: ['hosts'] } },
);
export type SidecarEgress = ValueOf<typeof sidecarEgress>;

const outboundTrafficPolicy = message('What happens with traffic to unknown services.', {
  mode: choice(
    ['REGISTRY_ONLY', 'ALLOW_ANY', '', 'ALLOW_ANY_DYNAMIC_DNS'],
    'Refused or passed through; the last one is for MeshConfig only.',
  ),
  egressProxy: message(
    'Where such traffic is sent.',
    {
      host: text('Service name, in full.'),
      subset: text('Subset of the service.'),
      port: message('A port.', { number: uint32('Port number.') }),
    },
    { crd: { required: ['host'] } },
  ),
});
export type OutboundTrafficPolicy = ValueOf<typeof outboundTrafficPolicy>;

export const sidecar = defineKind({
  kind: 'Sidecar',
  group: 'networking.istio.io',
  plural: 'sidecars',
  singular: 'sidecar',
  shortNames: [],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [],
  description: 'Which ports a workload takes traffic on, and which services its proxy knows.',
  body: message('A Sidecar.', {
    spec: message('Scope of a namespace or of selected workloads.', {
      workloadSelector: labelsSelector,
      ingress: listOf(sidecarIngress, 'Ports that take traffic; those of the services when absent.'),
      egress: listOf(sidecarEgress, 'Services that are called; all when absent.'),
      inboundConnectionPool: connectionPoolSettings,
      outboundTrafficPolicy,
    }),
    status: meshStatus,
  }),
});
export type Sidecar = ObjectOfDef<typeof sidecar>;
