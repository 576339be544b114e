// The ports on which a sidecar takes traffic for its workload: those of its services, or those that its Sidecar lists.
import type { SidecarIngress } from '../../../../config/kinds/sidecar.ts';
import { compareText } from '../../../../config/object.ts';
import { query, type Read } from '../../../graph/graph.ts';
import { type MtlsMode, mtlsModeOf, mtlsPortsOf, namespaceMtls } from '../../../model/mtls.ts';
import { facts } from '../../../model/objects.ts';
import { isHttp, parseProtocol } from '../../../model/protocol.ts';
import type { Protocol } from '../../../model/service.ts';
import type { ServiceTarget } from '../../../model/service-target.ts';
import { services } from '../../../model/services.ts';
import { sidecarScope } from '../../../model/sidecar-scope.ts';
import { inboundCluster } from '../../names.ts';
import { isSniffed } from '../route/port-services.ts';
import type { Served } from './chain-matches.ts';

/** A port of the workload. Plain data, part of the listener's key. */
export interface InboundPort {
  /** Address by which its chains are named. */
  readonly bind: string;
  /** The port that connections are for: the workload's own, or an ingress listener's. */
  readonly port: number;
  /** The service's port, which names operations. */
  readonly servicePort: number;
  readonly hostname: string;
  readonly protocol: Protocol;
  readonly served: Served;
  readonly mode: MtlsMode;
  readonly cluster: string;
  /** A socket of its own instead of the port that all redirected connections come to. */
  readonly bindToPort: boolean;
  /** The Sidecar that lists it, `namespace/name`. */
  readonly sidecar?: string;
  /** TLS with certificates of the Sidecar's own, where the port takes no Istio mTLS. */
  readonly tls?: IngressTls;
}

/** Certificates in the proxy's file system. */
export interface IngressTls {
  readonly certificate: string;
  readonly key: string;
  /** Authorities of client certificates; absent asks for none. */
  readonly clientCa?: string;
}

/** The inbound side of a workload. */
export interface InboundPorts {
  readonly ports: readonly InboundPort[];
  /** What ports without a service accept: the workload's mode at 0, and ports with a mode of their own. */
  readonly others: readonly { readonly port: number; readonly mode: MtlsMode }[];
}

/** The client, as far as its inbound side depends on it. */
export interface InboundClient {
  readonly namespace: string;
  readonly scope: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly interception: 'REDIRECT' | 'TPROXY' | 'NONE';
  readonly addresses: readonly string[];
  readonly targets: readonly ServiceTarget[];
  readonly ipFamily: 'v4' | 'v6' | 'dual';
}

/** Finds the inbound ports of a workload. */
export const inboundPorts = query<InboundClient, InboundPorts>(
  'inbound-ports',
  (read, client) => {
    const { namespace, scope, labels } = client;
    const policies = read(namespaceMtls, namespace);
    const { ingress, sidecar } = read(sidecarScope, { namespace, scope });
    const modeOf = (port: number): MtlsMode => mtlsModeOf(policies, labels, port);
    const ports =
      ingress.length > 0
        ? ingress.flatMap((one) => ingressPort(client, sidecar, one, modeOf, read(ingressTlsEnabled, 'facts')))
        : // Without capture it would take its application's own ports; only a Sidecar can say how to avoid that.
          client.interception === 'NONE'
          ? []
          : targetPorts(read, client, modeOf);
    const known = new Set(ports.map(({ port }) => port));
    const own = [...mtlsPortsOf(policies, labels)].filter(([port]) => !known.has(port));
    return {
      ports: [...ports].sort((a, b) => a.port - b.port),
      others: [{ port: 0, mode: modeOf(0) }, ...own.map(([port, mode]) => ({ port, mode }))],
    };
  },
  { idOf: (client) => JSON.stringify(Object.entries(client).sort(([a], [b]) => compareText(a, b))) },
);

/** How a port with a protocol is served. */
export function servedAs(protocol: Protocol): Served {
  if (isHttp(protocol)) return 'http';
  return isSniffed(protocol) ? 'auto' : 'tcp';
}

/** Several services may share a workload's port: the oldest decides what it speaks. */
function targetPorts(read: Read, client: InboundClient, modeOf: (port: number) => MtlsMode): readonly InboundPort[] {
  const found = client.targets.flatMap((target) => {
    const service = read(services, target.service);
    const port = service?.ports.find(({ number }) => number === target.port);
    return service === undefined || port === undefined ? [] : [{ service, port, target }];
  });
  found.sort(
    (a, b) =>
      compareText(a.service.creationTimestamp, b.service.creationTimestamp) ||
      Number(a.service.registry !== 'Kubernetes') - Number(b.service.registry !== 'Kubernetes') ||
      compareText(a.service.hostname, b.service.hostname) ||
      a.port.number - b.port.number,
  );
  const ports = new Map<number, InboundPort>();
  for (const { service, port, target } of found) {
    const { targetPort } = target;
    if (ports.has(targetPort)) continue;
    ports.set(targetPort, {
      bind: bindOf(client, false),
      port: targetPort,
      servicePort: port.number,
      hostname: service.hostname,
      protocol: port.protocol,
      served: servedAs(port.protocol),
      mode: modeOf(targetPort),
      cluster: inboundCluster(targetPort),
      bindToPort: false,
    });
  }
  return [...ports.values()];
}

function ingressPort(
  client: InboundClient,
  sidecar: string,
  ingress: SidecarIngress,
  modeOf: (port: number) => MtlsMode,
  tlsEnabled: boolean,
): readonly InboundPort[] {
  const number = ingress.port?.number ?? 0;
  if (number === 0) return [];
  const protocol = parseProtocol(ingress.port?.protocol ?? '');
  const [namespace = '', name = ''] = sidecar.split('/');
  return [
    {
      bind: ingress.bind || bindOf(client, true),
      port: number,
      servicePort: number,
      // Traffic of no service is named after the Sidecar.
      hostname: `${name}.${namespace}`,
      protocol,
      served: servedAs(protocol),
      mode: modeOf(number),
      cluster: inboundCluster(number),
      bindToPort: client.interception === 'NONE' || ingress.captureMode === 'NONE',
      sidecar,
      ...(tlsEnabled && modeOf(number) === 'DISABLE' ? ingressTls(ingress) : {}),
    },
  ];
}

const ingressTlsEnabled = query(
  'ingress-tls',
  (read, _key: 'facts') => read(facts, 'facts').features['ENABLE_TLS_ON_SIDECAR_INGRESS'] === 'true',
);

function ingressTls({ tls }: SidecarIngress): Pick<InboundPort, 'tls'> {
  const { serverCertificate: certificate = '', privateKey: key = '', caCertificates = '' } = tls ?? {};
  if ((tls?.mode !== 'SIMPLE' && tls?.mode !== 'MUTUAL') || certificate === '' || key === '') return {};
  return { tls: { certificate, key, ...(tls.mode === 'MUTUAL' ? { clientCa: caCertificates } : {}) } };
}

function bindOf({ addresses, interception, ipFamily }: InboundClient, ingress: boolean): string {
  const [own] = addresses;
  if (own !== undefined && (ingress || interception === 'NONE')) return own;
  return ipFamily === 'v6' ? '::' : '0.0.0.0';
}
