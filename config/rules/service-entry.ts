// Rules of ServiceEntry.
import type { ServiceEntry, ServiceEntryPort } from '../kinds/service-entry.ts';
import { checkIpOrRange, unixPrefix } from './addresses.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing, unique } from './finding.ts';
import {
  checkExportTo,
  checkPortName,
  checkPortNumber,
  checkProtocol,
  checkWildcardDomain,
  domainProblem,
  wildcardDomainProblem,
} from './names.ts';
import { isHttpProtocol, isTlsProtocol } from './protocols.ts';
import { checkLabelsSelector } from './selectors.ts';
import { checkTrafficDistribution } from './traffic-distribution.ts';
import { checkWorkloadEndpoint } from './workload.ts';

type Spec = ServiceEntry['spec'];

/** What Istio's webhook refuses or warns about in a ServiceEntry. */
export function checkServiceEntry(entry: ServiceEntry): Findings {
  const { spec } = entry;
  return [
    ...checkSelection(spec),
    ...((spec.hosts ?? []).length === 0 ? missing('spec.hosts', 'service entry must have at least one host') : fine),
    ...each(spec.hosts, 'spec.hosts', checkHost),
    ...checkAddresses(spec),
    ...checkPorts(entry),
    ...checkSeveralHosts(spec),
    ...checkResolution(spec),
    ...checkExportTo(spec.exportTo, entry.metadata.namespace, 'spec.exportTo', true),
    ...checkTrafficDistribution(entry.metadata),
  ];
}

function checkSelection(spec: Spec): Findings {
  if (spec.workloadSelector === undefined) return fine;
  return [
    ...checkLabelsSelector(spec.workloadSelector, 'spec.workloadSelector'),
    ...((spec.endpoints ?? []).length > 0
      ? conflict('spec.endpoints', 'only one of WorkloadSelector or Endpoints is allowed in Service Entry')
      : fine),
    ...(resolutionOf(spec) === 'NONE'
      ? doubtful('spec.workloadSelector', 'workloadSelector should not be set when resolution mode is NONE')
      : fine),
  ];
}

function resolutionOf(spec: Spec): string {
  return spec.resolution ?? 'NONE';
}

function checkHost(host: string, path: string): Findings {
  if (host === '*') return invalid(path, 'invalid host *');
  const partial = host.includes('*') && !host.startsWith('*.');
  return [
    ...checkWildcardDomain(host, path),
    ...(partial ? doubtful(path, `partial wildcard "${host}" not allowed`) : fine),
  ];
}

function checkAddresses(spec: Spec): Findings {
  const ranges = (spec.addresses ?? []).some((address) => address.includes('/'));
  return [
    ...each(spec.addresses, 'spec.addresses', checkIpOrRange),
    ...(ranges && !['NONE', 'STATIC'].includes(resolutionOf(spec))
      ? conflict('spec.addresses', 'CIDR addresses are allowed only for NONE/STATIC resolution types')
      : fine),
  ];
}

/** The label by which a ServiceEntry goes without addresses of its own. */
const autoAllocateLabel = 'networking.istio.io/enable-autoallocate-ip';

function checkPorts({ spec, metadata }: ServiceEntry): Findings {
  const allocates = resolutionOf(spec) !== 'NONE' && metadata.labels?.[autoAllocateLabel]?.toLowerCase() !== 'false';
  const tcpWithoutAddress = (port: ServiceEntryPort) =>
    !allocates && (spec.addresses ?? []).length === 0 && ['', 'TCP'].includes(port.protocol ?? '');
  return [
    ...unique(
      spec.ports,
      'spec.ports',
      (port) => port.name ?? '',
      (name) => `service entry port name "${name}" already defined`,
    ),
    ...unique(
      spec.ports,
      'spec.ports',
      (port) => String(port.number ?? 0),
      (number) => `service entry port ${number} already defined`,
    ),
    ...each(spec.ports, 'spec.ports', (port, path) => [
      ...((port.targetPort ?? 0) === 0 ? fine : checkPortNumber(port.targetPort, `${path}.targetPort`)),
      ...checkPortNumber(port.number, `${path}.number`),
      ...checkPortName(port.name, `${path}.name`),
      ...((port.protocol ?? '') === '' ? fine : checkProtocol(port.protocol, `${path}.protocol`)),
      ...(tcpWithoutAddress(port)
        ? doubtful(
            path,
            'addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled',
          )
        : fine),
    ]),
  ];
}

/** Hosts are told apart by HTTP's authority and TLS's server name; other protocols have neither. */
function checkSeveralHosts(spec: Spec): Findings {
  const mode = resolutionOf(spec);
  if (mode === 'NONE' || (spec.hosts ?? []).length < 2) return fine;
  const blind = (spec.ports ?? []).some(({ protocol }) => !isHttpProtocol(protocol) && !isTlsProtocol(protocol));
  const looksUp = mode === 'DNS' || mode === 'DNS_ROUND_ROBIN';
  return [
    ...(blind ? conflict('spec.hosts', 'multiple hosts provided with non-HTTP, non-TLS ports') : fine),
    ...(looksUp && (spec.addresses ?? []).length > 0 && (spec.ports ?? []).some(isTcp)
      ? doubtful('spec.hosts', 'service entry can not have more than one host together with an address and a tcp port')
      : fine),
  ];
}

function isTcp(port: ServiceEntryPort): boolean {
  const protocol = (port.protocol ?? '').toLowerCase();
  return isTlsProtocol(protocol) || ['tcp', 'mongo', 'redis', 'mysql'].includes(protocol);
}

function checkResolution(spec: Spec): Findings {
  const endpoints = spec.endpoints ?? [];
  switch (resolutionOf(spec)) {
    case 'NONE':
      return endpoints.length === 0
        ? fine
        : conflict('spec.endpoints', 'no endpoints should be provided for resolution type none');
    case 'STATIC':
      return each(endpoints, 'spec.endpoints', (endpoint, path) => [
        ...checkWorkloadEndpoint(endpoint, path, 'ip-or-socket'),
        ...checkEndpointPorts(spec, endpoint.ports, path),
        ...(endpoint.address?.startsWith(unixPrefix) && (spec.ports ?? []).length !== 1
          ? conflict(`${path}.address`, 'exactly 1 service port required for unix endpoints')
          : fine),
      ]);
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      return checkDns(spec);
    case 'DYNAMIC_DNS':
      return checkDynamicDns(spec);
    default:
      return invalid('spec.resolution', `unsupported resolution type ${spec.resolution ?? ''}`);
  }
}

function checkEndpointPorts(spec: Spec, ports: Readonly<Record<string, number>> | undefined, path: string): Findings {
  const names = new Set((spec.ports ?? []).map((port) => port.name));
  return Object.keys(ports ?? {}).flatMap((name) =>
    names.has(name)
      ? fine
      : invalid(`${path}.ports.${name}`, `endpoint port ${name} is not defined by the service entry`),
  );
}

function checkDns(spec: Spec): Findings {
  const mode = resolutionOf(spec);
  const endpoints = spec.endpoints ?? [];
  if (endpoints.length === 0) {
    return each(spec.hosts, 'spec.hosts', (host, path) => {
      const problem = domainProblem(host);
      return problem === undefined
        ? fine
        : invalid(
            path,
            `hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode ${mode}: ${problem}`,
          );
    });
  }
  return [
    ...(mode === 'DNS_ROUND_ROBIN' && endpoints.length > 1
      ? conflict('spec.endpoints', `there must only be 0 or 1 endpoint for resolution mode ${mode}`)
      : fine),
    ...each(endpoints, 'spec.endpoints', (endpoint, path) => [
      ...checkWorkloadEndpoint(endpoint, path, 'ip-or-name'),
      ...checkEndpointPorts(spec, endpoint.ports, path),
    ]),
  ];
}

function checkDynamicDns(spec: Spec): Findings {
  return [
    ...((spec.endpoints ?? []).length > 0
      ? conflict('spec.endpoints', 'endpoints cannot be set for resolution type DYNAMIC_DNS; the hosts are looked up')
      : fine),
    ...each(spec.hosts, 'spec.hosts', (host, path) =>
      host.startsWith('*') && wildcardDomainProblem(host) === undefined
        ? fine
        : invalid(path, 'host must be wildcarded for resolution mode DYNAMIC_DNS'),
    ),
    ...each(spec.ports, 'spec.ports', (port, path) =>
      isHttpProtocol(port.protocol) || isTlsProtocol(port.protocol)
        ? fine
        : invalid(
            `${path}.protocol`,
            'only HTTP, TLS, GRPC, and HTTP2 protocols are supported for resolution type DYNAMIC_DNS',
          ),
    ),
    ...(spec.location === 'MESH_INTERNAL'
      ? conflict('spec.location', 'location MESH_INTERNAL with resolution type DYNAMIC_DNS is not supported')
      : fine),
  ];
}
