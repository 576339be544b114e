// What one Service or ServiceEntry defines, before definitions of the same host and namespace are joined.
import { isIP } from 'node:net';
import { parseExportTo } from '../../config/export-to.ts';
import type { Service as KubernetesService } from '../../config/kinds/service.ts';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { type ObjectMeta, refOf } from '../../config/object.ts';
import { nodeSelectorOf } from '../../config/rules/service.ts';
import {
  annotatedDistribution,
  specifiedDistribution,
  type TrafficDistribution,
} from '../../config/rules/traffic-distribution.ts';
import { parseAddress } from './address.ts';
import { parseProtocol, portProtocol } from './protocol.ts';
import type { Resolution, Service, ServicePort } from './service.ts';

/** What definitions need besides their object. */
export interface DefinitionContext {
  readonly domain: string;
  /** exportTo where the object has none. */
  readonly defaultExportTo: readonly string[];
  /** Whether an ExternalName stands for the service it names (ENABLE_EXTERNAL_NAME_ALIAS). */
  readonly externalNameAlias: boolean;
  /** What the object's namespace is annotated with, which services inherit that say nothing themselves. */
  readonly distribution: TrafficDistribution;
  /** External addresses of the nodes that have these labels. */
  readonly nodeAddresses: (labels: Readonly<Record<string, string>>) => readonly string[];
}

const headlessIp = 'None';

/** The service of a Kubernetes Service; undefined where it has no name to speak of. */
export function ofKubernetesService(object: KubernetesService, context: DefinitionContext): Service {
  const { metadata, spec = {} } = object;
  const external = spec.type === 'ExternalName' && spec.externalName ? spec.externalName.toLowerCase() : undefined;
  const headless = spec.clusterIP === headlessIp;
  const exportTo = metadata.annotations?.['networking.istio.io/exportTo'];
  const hostname = `${metadata.name}.${metadata.namespace}.svc.${context.domain}`.toLowerCase();
  return {
    ...identityOf(metadata, hostname),
    registry: 'Kubernetes',
    resolution: external === undefined ? (headless ? 'passthrough' : 'endpoints') : externalResolution(context),
    ports: (spec.ports ?? []).map(kubernetesPort).filter((port) => port !== undefined),
    addresses: headless || external !== undefined ? [] : clusterAddresses(spec),
    autoAddresses: [],
    headless,
    meshExternal: external !== undefined,
    exportTo: parseExportTo(exportTo ? exportTo.split(',') : context.defaultExportTo, metadata.namespace),
    ...(external === undefined ? {} : { externalName: external }),
    ...selectorOf(external === undefined ? spec.selector : undefined),
    subjectAltNames: [],
    trafficDistribution:
      specifiedDistribution(spec.trafficDistribution) ?? annotatedDistribution(metadata) ?? context.distribution,
    nodeLocal: spec.internalTrafficPolicy === 'Local',
    publishNotReady: spec.publishNotReadyAddresses ?? false,
    externalAddresses: externalAddresses(object, context),
    externalPorts: nodePorts(object),
    source: refOf(object),
    sources: [refOf(object)],
  };
}

/** The services of a ServiceEntry, one for each host. */
export function ofServiceEntry(object: ServiceEntry, context: DefinitionContext): readonly Service[] {
  const { metadata, spec } = object;
  const hosts = [...new Set((spec?.hosts ?? []).map((host) => host.toLowerCase()))].filter((host) => host !== '');
  const exportTo = spec.exportTo ?? [];
  const all = hosts.map((hostname) => ({
    ...identityOf(metadata, hostname),
    registry: 'External' as const,
    resolution: entryResolution(spec.resolution),
    ports: (spec.ports ?? []).filter((port) => port?.number !== undefined).map(entryPort),
    addresses: [...new Set((spec.addresses ?? []).map(parseAddress).filter((address) => address !== undefined))],
    autoAddresses: statusAddresses(object, hostname),
    headless: false,
    meshExternal: spec.location !== 'MESH_INTERNAL',
    exportTo: parseExportTo(exportTo.length === 0 ? context.defaultExportTo : exportTo, metadata.namespace),
    ...selectorOf(spec.workloadSelector?.labels),
    subjectAltNames: spec.subjectAltNames ?? [],
    trafficDistribution: annotatedDistribution(metadata) ?? context.distribution,
    nodeLocal: false,
    publishNotReady: false,
    externalAddresses: [],
    externalPorts: {},
    source: refOf(object),
    sources: [refOf(object)],
  }));
  return all.map((service) => (mayHaveAutoAddresses(service) ? service : { ...service, autoAddresses: [] }));
}

/** Whether a service may have addresses of the mesh's own making: no wildcard host, none of its own, found by name. */
export function mayHaveAutoAddresses(service: Service): boolean {
  if (service.registry !== 'External' || service.addresses.length > 0) return false;
  if (service.hostname.startsWith('*') || service.resolution === 'passthrough') return false;
  return service.labels['networking.istio.io/enable-autoallocate-ip']?.toLowerCase() !== 'false';
}

/** Addresses that a controller, istiod's or our own, wrote into the status: other readers of the status know them. */
function statusAddresses({ status }: ServiceEntry, hostname: string): readonly string[] {
  return (status?.addresses ?? []).flatMap(({ value = '', host }) =>
    (host ?? hostname).toLowerCase() === hostname && isIP(value) !== 0 ? [value] : [],
  );
}

function identityOf(metadata: ObjectMeta, hostname: string) {
  return {
    key: `${metadata.namespace}/${hostname}`,
    hostname,
    namespace: metadata.namespace,
    name: metadata.name,
    creationTimestamp: metadata.creationTimestamp ?? '',
    labels: metadata.labels ?? {},
  };
}

function externalResolution(context: DefinitionContext): Resolution {
  return context.externalNameAlias ? 'alias' : 'dns';
}

function entryResolution(name: string | undefined): Resolution {
  switch (name) {
    case 'STATIC':
      return 'endpoints';
    case 'DNS':
      return 'dns';
    case 'DNS_ROUND_ROBIN':
      return 'dns-round-robin';
    case 'DYNAMIC_DNS':
      return 'dynamic-dns';
    default:
      return 'passthrough';
  }
}

type KubernetesPort = NonNullable<NonNullable<KubernetesService['spec']>['ports']>[number];

function kubernetesPort(port: KubernetesPort): ServicePort | undefined {
  if (port?.port === undefined) return undefined;
  const hints = {
    number: port.port,
    ...(port.name === undefined ? {} : { name: port.name }),
    ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    ...(port.protocol === undefined ? {} : { transport: port.protocol }),
  };
  return {
    number: port.port,
    name: port.name ?? '',
    protocol: portProtocol(hints),
    ...(port.targetPort === undefined || port.targetPort === 0 ? {} : { targetPort: numberIfNumeric(port.targetPort) }),
  };
}

function numberIfNumeric(port: number | string): number | string {
  return typeof port === 'string' && /^\d+$/.test(port) ? Number(port) : port;
}

type EntryPort = NonNullable<ServiceEntry['spec']['ports']>[number];

function entryPort(port: EntryPort): ServicePort {
  return {
    number: port.number ?? 0,
    name: port.name ?? '',
    protocol: parseProtocol(port.protocol ?? ''),
    ...(port.targetPort ? { targetPort: port.targetPort } : {}),
  };
}

function clusterAddresses(spec: NonNullable<KubernetesService['spec']>): readonly string[] {
  const all = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ''];
  return all.filter((address) => address !== '' && address !== headlessIp);
}

/** Of nodes only where the Service has no addresses of its own. */
function externalAddresses(object: KubernetesService, context: DefinitionContext): readonly string[] {
  const ingress = object.spec?.type === 'LoadBalancer' ? (object.status?.loadBalancer?.ingress ?? []) : [];
  const entries = ingress.map((entry) => entry.ip ?? entry.hostname ?? '').filter((address) => address !== '');
  const own = [...entries, ...(object.spec?.externalIPs ?? [])];
  const nodes = nodeSelectorOf(object);
  return own.length > 0 || nodes === undefined ? own : context.nodeAddresses(nodes.labels);
}

/** Node ports by service port, of Services that are reached through nodes. Gateways between networks speak TCP. */
function nodePorts(object: KubernetesService): Readonly<Record<number, number>> {
  if (nodeSelectorOf(object) === undefined) return {};
  return Object.fromEntries(
    (object.spec?.ports ?? []).flatMap(({ port, nodePort, protocol = 'TCP' }) =>
      port === undefined || !nodePort || protocol !== 'TCP' ? [] : [[port, nodePort]],
    ),
  );
}

function selectorOf(selector: Readonly<Record<string, string>> | undefined) {
  return selector === undefined || Object.keys(selector).length === 0 ? {} : { selector };
}
