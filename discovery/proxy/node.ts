// Parses the Node message of a client's first xDS request into a Proxy.
import { isIP } from 'node:net';
import { type Diagnostic, errorOf } from '../../config/diagnostic.ts';
import type { Node } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import type { Capabilities } from './capabilities.ts';
import {
  canonicalOf,
  depthOf,
  durationOf,
  flagOf,
  listOf,
  type Metadata,
  mapOf,
  namedPortsOf,
  portOf,
  textOf,
} from './node-metadata.ts';
import type { Flavour, Interception, Proxy, ProxySettings, TlsFiles } from './proxy.ts';

/** A proxy, or why the Node message does not describe one. */
export type ParsedNode =
  | { readonly kind: 'proxy'; readonly proxy: Proxy }
  | { readonly kind: 'invalid'; readonly problem: Diagnostic };

const maxIdLength = 1024;
const maxLabels = 1000;
const maxAddresses = 64;
const maxMetadataDepth = 32;

const flavours: ReadonlyMap<string, Flavour> = new Map([
  ['sidecar', 'sidecar'],
  ['router', 'gateway'],
]);

/**
 * Reads a Node as pilot-agent, a plain Envoy with our bootstrap, or proxyless gRPC send it: id
 * `<type>~<ip>~<name>.<namespace>~<namespace>.svc.<domain>` and Istio's metadata keys.
 */
export function parseNode(node: Node): ParsedNode {
  if (node.id === '') return invalid('missing-field', 'The request carries no node id.', 'node.id');
  if (node.id.length > maxIdLength) return invalid('invalid-value', 'The node id is too long.', 'node.id');
  const parts = node.id.split('~');
  const [type = '', ip = '', workloadId = '', dnsDomain = ''] = parts;
  if (parts.length !== 4) {
    return invalid('invalid-value', 'The node id must be type~ip~name.namespace~domain.', 'node.id');
  }
  const metadata: Metadata = { raw: node.metadata ?? {} };
  if (depthOf(metadata.raw, maxMetadataDepth) > maxMetadataDepth) {
    return invalid('invalid-value', 'The node metadata is nested too deeply.', 'node.metadata');
  }
  const flavour = textOf(metadata, 'GENERATOR') === 'grpc' ? 'grpc' : flavours.get(type);
  if (flavour === undefined) {
    return invalid('invalid-value', `Proxies of type ${JSON.stringify(type.slice(0, 64))} are not served.`, 'node.id');
  }
  const ipAddresses = addressesOf(metadata, ip);
  if (ipAddresses === undefined) {
    return invalid('invalid-value', 'The node names no valid IP address.', 'node.metadata.INSTANCE_IPS');
  }
  const labels = { ...mapOf(metadata, 'STATIC_LABELS'), ...mapOf(metadata, 'LABELS') };
  if (Object.keys(labels).length > maxLabels) {
    return invalid('invalid-value', `The node has more than ${maxLabels} labels.`, 'node.metadata.LABELS');
  }
  const proxy = proxyOf({ node, metadata, flavour, ipAddresses, labels, workloadId, dnsDomain });
  return { kind: 'proxy', proxy };
}

interface Checked {
  readonly node: Node;
  readonly metadata: Metadata;
  readonly flavour: Flavour;
  readonly ipAddresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly workloadId: string;
  readonly dnsDomain: string;
}

function proxyOf({ node, metadata, flavour, ipAddresses, labels, workloadId, dnsDomain }: Checked): Proxy {
  const dot = workloadId.lastIndexOf('.');
  const namespace = textOf(metadata, 'NAMESPACE') ?? dnsDomain.split('.')[0] ?? '';
  return {
    nodeId: node.id,
    flavour,
    ipAddresses,
    workload:
      dot < 0
        ? { name: workloadId, namespace }
        : { name: workloadId.slice(0, dot), namespace: workloadId.slice(dot + 1) },
    namespace,
    dnsDomain,
    labels,
    serviceAccount: textOf(metadata, 'SERVICE_ACCOUNT') ?? '',
    cluster: textOf(metadata, 'CLUSTER_ID') ?? '',
    network: textOf(metadata, 'NETWORK') ?? '',
    nodeName: textOf(metadata, 'NODE_NAME') ?? '',
    locality: {
      region: node.locality?.region ?? '',
      zone: node.locality?.zone ?? '',
      subzone: node.locality?.subZone ?? '',
    },
    interception: interceptionOf(metadata),
    capabilities: capabilitiesOf(node, metadata),
    settings: settingsOf(metadata),
  };
}

/** What the proxy can do, by the extensions that Envoy lists and by who started it. One frozen value a distinct set. */
export function capabilitiesOf(node: Node, metadata: Metadata): Capabilities {
  const istioVersion = textOf(metadata, 'ISTIO_VERSION') !== undefined;
  const listed = node.extensions.length > 0;
  const istioFilters = listed ? node.extensions.some(({ name }) => name === 'istio.stats') : istioVersion;
  const internalListeners = listed
    ? node.extensions.some(({ name }) => name === 'envoy.bootstrap.internal_listener')
    : istioVersion;
  const agentSds = istioVersion && flagOf(metadata, 'MELTEMI_AGENTLESS') !== true;
  return capabilitySets[`${istioFilters}${agentSds}${internalListeners}`] as Capabilities;
}

const both = [false, true] as const;
const capabilitySets: Readonly<Record<string, Capabilities>> = Object.fromEntries(
  both.flatMap((istioFilters) =>
    both.flatMap((agentSds) =>
      both.map((internalListeners) => [
        `${istioFilters}${agentSds}${internalListeners}`,
        Object.freeze({ istioFilters, agentSds, internalListeners }),
      ]),
    ),
  ),
);

function addressesOf(metadata: Metadata, fromId: string): readonly string[] | undefined {
  const listed = listOf(metadata, 'INSTANCE_IPS');
  const addresses = listed.length > 0 ? listed : [fromId];
  if (addresses.length > maxAddresses || addresses.some((address) => isIP(address) === 0)) return undefined;
  return addresses;
}

function interceptionOf(metadata: Metadata): Interception {
  const mode = textOf(metadata, 'INTERCEPTION_MODE');
  return mode === 'TPROXY' || mode === 'NONE' ? mode : 'REDIRECT';
}

function settingsOf(metadata: Metadata): ProxySettings {
  const settings: { -readonly [K in keyof ProxySettings]: ProxySettings[K] | undefined } = {
    httpProxyPort: portOf(metadata, 'HTTP_PROXY_PORT'),
    idleTimeoutMs: durationOf(metadata, 'IDLE_TIMEOUT'),
    http10: flagOf(metadata, 'HTTP10'),
    exactBalanceInbound: flagOf(metadata, 'INBOUND_LISTENER_EXACT_BALANCE'),
    exactBalanceOutbound: flagOf(metadata, 'OUTBOUND_LISTENER_EXACT_BALANCE'),
    unprivileged: flagOf(metadata, 'UNPRIVILEGED_POD'),
    dnsCapture: flagOf(metadata, 'DNS_CAPTURE'),
    dnsAutoAllocate: flagOf(metadata, 'DNS_AUTO_ALLOCATE'),
    podPorts: namedPortsOf(metadata, 'POD_PORTS'),
    tlsServer: tlsFilesOf(metadata, 'TLS_SERVER'),
    tlsClient: tlsFilesOf(metadata, 'TLS_CLIENT'),
    proxyConfig: canonicalOf(metadata, 'PROXY_CONFIG'),
    meshId: textOf(metadata, 'MESH_ID'),
    networkView: listOf(metadata, 'REQUESTED_NETWORK_VIEW'),
    istioVersion: textOf(metadata, 'ISTIO_VERSION'),
    enableHbone: flagOf(metadata, 'ENABLE_HBONE'),
  };
  if (settings.networkView?.length === 0) settings.networkView = undefined;
  // Absent settings are absent, so that a proxy which says nothing equals one that says the default.
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined && value !== false),
  ) as ProxySettings;
}

function tlsFilesOf(metadata: Metadata, prefix: string): TlsFiles | undefined {
  const certChain = textOf(metadata, `${prefix}_CERT_CHAIN`);
  const key = textOf(metadata, `${prefix}_KEY`);
  if (certChain === undefined || key === undefined) return undefined;
  return { certChain, key, rootCert: textOf(metadata, `${prefix}_ROOT_CERT`) ?? '' };
}

function invalid(code: Diagnostic['code'], message: string, path: string): ParsedNode {
  return { kind: 'invalid', problem: errorOf(code, message, { path }) };
}
