// Which TLS a cluster's connections use: none, the user's, Istio mTLS, or Istio mTLS where the endpoint takes it.
import { create } from '@bufbuild/protobuf';
import type { ClientTlsSettings } from '../../../config/kinds/common.ts';
import type { ProxyProtocol } from '../../../config/kinds/destination-rule.ts';
import type { MeshConfig } from '../../../config/mesh.ts';
import {
  type Cluster,
  type Cluster_TransportSocketMatch,
  Cluster_TransportSocketMatchSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { ProxyProtocolConfig_Version } from '../../../protos/gen/envoy/config/core/v3/proxy_protocol_pb.js';
import { ProxyProtocolUpstreamTransportSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js';
import type { Read } from '../../graph/graph.ts';
import { serviceMtlsMode } from '../../model/mtls.ts';
import { isHttp } from '../../model/protocol.ts';
import type { Service, ServicePort } from '../../model/service.ts';
import { serverNames } from '../../model/service-endpoints.ts';
import type { MergedRule, TrafficPolicy } from '../../model/traffic-policy.ts';
import { sniOf } from '../names.ts';
import type { ClusterKey } from './cluster-key.ts';
import { upgradedHttp, upstreamHttp } from './cluster-options.ts';
import { istioMutualTls, rawBuffer, socketOf, type UpstreamTlsContext, userTls } from './upstream-tls.ts';
import { packed } from './wire.ts';

/** The outcome. `user` means that it has nothing to do with the mesh's own TLS. */
export interface ClusterTls {
  readonly kind: 'none' | 'user' | 'istio' | 'automatic';
  readonly socket?: TransportSocket;
  /** Server name and its verification follow the request's host. */
  readonly autoSni: boolean;
  readonly autoSanValidation: boolean;
}

/** What the choice rests on. */
export interface ClusterTlsInput {
  readonly key: ClusterKey;
  readonly service: Service;
  readonly port: ServicePort;
  readonly policy: TrafficPolicy;
  readonly rule: MergedRule | undefined;
  readonly mesh: MeshConfig;
}

const none: ClusterTls = Object.freeze({ kind: 'none', autoSni: false, autoSanValidation: false });

/** Settings that cannot be met here, such as a gateway's credential at a sidecar: connections stay plain. */
const unusable: ClusterTls = Object.freeze({ kind: 'user', autoSni: false, autoSanValidation: false });

/** Chooses TLS: a rule's settings win, else the mesh's automatic mTLS applies to services within it. */
export function tlsOf(read: Read, input: ClusterTlsInput): ClusterTls {
  const settings = input.policy.tls;
  if (settings === undefined) return automaticTls(read, input);
  switch (settings.mode ?? 'DISABLE') {
    case 'DISABLE':
      return none;
    case 'ISTIO_MUTUAL': {
      const files = withFiles(settings, input);
      if (files !== undefined) return userTlsOf(read, files, input);
      const own = settings.subjectAltNames ?? [];
      const names = own.length > 0 ? own : read(serverNames, input.service.key);
      // A forward proxy's server is whatever host the request names.
      const automatic = input.service.resolution === 'dynamic-dns' && !settings.sni;
      const sni = settings.sni || (automatic ? '' : sniOfKey(input));
      const socket = istioMutualTls(sni, names, contextOf(input, []));
      return { kind: 'istio', socket, autoSni: automatic, autoSanValidation: automatic && own.length === 0 };
    }
    default:
      return userTlsOf(read, withFiles(settings, input) ?? settings, input);
  }
}

/** Writes the choice into a cluster. */
export function applyTls(cluster: Cluster, tls: ClusterTls, proxyProtocol: ProxyProtocol | undefined): void {
  const wrapped = (socket: TransportSocket): TransportSocket =>
    proxyProtocol === undefined ? socket : withProxyProtocol(socket, proxyProtocol);
  if (tls.kind === 'automatic' && tls.socket !== undefined) {
    cluster.transportSocketMatches = [
      match('tlsMode-istio', { tlsMode: 'istio' }, wrapped(tls.socket)),
      match('tlsMode-disabled', {}, wrapped(rawBuffer())),
    ];
  } else if (tls.socket !== undefined || proxyProtocol !== undefined) {
    cluster.transportSocket = wrapped(tls.socket ?? rawBuffer());
  }
}

function automaticTls(read: Read, input: ClusterTlsInput): ClusterTls {
  const { service, key, policy, mesh } = input;
  const original = service.resolution === 'passthrough' && key.profile.sidecar;
  const passthrough = service.resolution === 'passthrough' || policy.loadBalancer?.simple === 'PASSTHROUGH';
  if (!(mesh.enableAutoMtls ?? true)) return none;
  const mode = serviceMtlsMode(read, service, key.port, passthrough);
  if (mode === undefined || mode === 'DISABLE') return none;
  const files = withFiles({ mode: 'ISTIO_MUTUAL' }, input);
  const names = read(serverNames, service.key);
  const socket =
    files === undefined
      ? istioMutualTls(sniOfKey(input), names, contextOf(input, []))
      : userTls({ ...files, subjectAltNames: names, sni: sniOfKey(input) }, contextOf(input, []));
  if (socket === undefined) return none;
  // The address that the client chose has no metadata to match; all endpoints are known to take mTLS.
  const direct = original || policy.loadBalancer?.simple === 'PASSTHROUGH';
  return { kind: direct ? 'istio' : 'automatic', socket, autoSni: false, autoSanValidation: false };
}

function userTlsOf(read: Read, settings: ClientTlsSettings, input: ClusterTlsInput): ClusterTls {
  const context = contextOf(input, input.service.registry === 'External' ? read(serverNames, input.service.key) : []);
  if (settings.credentialName && !context.credentials) return unusable;
  const socket = userTls(settings, context);
  if (socket === undefined) return unusable;
  const autoSni = !settings.sni;
  const verified = !(settings.insecureSkipVerify ?? false);
  const autoSanValidation = autoSni && verified && (settings.subjectAltNames ?? []).length === 0;
  return { kind: 'user', socket, autoSni, autoSanValidation };
}

/** Proxies whose certificates are mounted use them for everything that is mutual. */
function withFiles(settings: ClientTlsSettings, input: ClusterTlsInput): ClientTlsSettings | undefined {
  const { files } = input.key.profile;
  if (files === undefined || (settings.mode !== 'MUTUAL' && settings.mode !== 'ISTIO_MUTUAL')) return undefined;
  const { subjectAltNames, sni } = settings;
  return {
    mode: 'MUTUAL',
    clientCertificate: files.certChain,
    privateKey: files.key,
    caCertificates: files.rootCert,
    ...(subjectAltNames === undefined ? {} : { subjectAltNames }),
    ...(sni === undefined ? {} : { sni }),
  };
}

function sniOfKey({ key, service }: ClusterTlsInput): string {
  return sniOf(key.port, key.subset, service.hostname);
}

function contextOf(input: ClusterTlsInput, subjectAltNames: readonly string[]): UpstreamTlsContext {
  const { key, port, policy, rule, mesh } = input;
  const { sidecar, agentSds, istioFilters } = key.profile;
  const http = upgradedHttp(upstreamHttp(port.protocol, sidecar), port.protocol, policy.connectionPool, mesh);
  return {
    agentSds,
    metadataExchange: istioFilters,
    http2: http === 'http2',
    http1: http === 'http1' && isHttp(port.protocol),
    credentials:
      !sidecar || (rule?.hasSelector ?? false) || (policy.tls?.credentialName ?? '').startsWith('configmap:'),
    subjectAltNames,
  };
}

function match(
  name: string,
  labels: Record<string, string>,
  transportSocket: TransportSocket,
): Cluster_TransportSocketMatch {
  return create(Cluster_TransportSocketMatchSchema, { name, match: labels, transportSocket });
}

function withProxyProtocol(transportSocket: TransportSocket, settings: ProxyProtocol): TransportSocket {
  const version = settings.version === 'V2' ? ProxyProtocolConfig_Version.V2 : ProxyProtocolConfig_Version.V1;
  return socketOf(
    'envoy.transport_sockets.upstream_proxy_protocol',
    packed(ProxyProtocolUpstreamTransportSchema, { config: { version }, transportSocket }),
  );
}
