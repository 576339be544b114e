// Rules of WorkloadEntry, the endpoints of ServiceEntry, and WorkloadGroup.
import type { WorkloadEndpoint, WorkloadEntry } from '../kinds/workload-entry.ts';
import type { WorkloadGroup } from '../kinds/workload-group.ts';
import { checkUnixPath, isIpAddress, unixPrefix } from './addresses.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkLabels, checkPortName, checkPortNumber, domainProblem } from './names.ts';

/** What Istio's webhook refuses or warns about in a WorkloadEntry. */
export function checkWorkloadEntry(entry: WorkloadEntry): Findings {
  return checkWorkloadEndpoint(entry.spec, 'spec');
}

/** What the address of a workload may be beside an IP address. */
export type AddressForms = 'any' | 'ip-or-socket' | 'ip-or-name';

/** Checks one workload: its address, ports and labels. */
export function checkWorkloadEndpoint(endpoint: WorkloadEndpoint, path: string, forms: AddressForms = 'any'): Findings {
  return [
    ...checkAddress(endpoint, forms, path),
    ...Object.entries(endpoint.ports ?? {}).flatMap(([name, port]) => [
      ...checkPortName(name, `${path}.ports.${name}`),
      ...checkPortNumber(port, `${path}.ports.${name}`),
    ]),
    ...checkLabels(endpoint.labels, `${path}.labels`),
  ];
}

function checkAddress(endpoint: WorkloadEndpoint, forms: AddressForms, path: string): Findings {
  const { address = '', network = '' } = endpoint;
  const at = `${path}.address`;
  if (address === '' && forms !== 'ip-or-name') {
    return network === ''
      ? missing(at, 'address is required')
      : doubtful(at, `address is unset with network "${network}"`);
  }
  if (address.startsWith(unixPrefix) && forms !== 'ip-or-name') {
    return [
      ...checkUnixPath(address.slice(unixPrefix.length), at),
      ...(Object.keys(endpoint.ports ?? {}).length === 0
        ? fine
        : conflict(`${path}.ports`, `unix endpoint ${address} must not include ports`)),
    ];
  }
  if (isIpAddress(address) || (forms !== 'ip-or-socket' && domainProblem(address) === undefined)) return fine;
  const wanted = forms === 'ip-or-socket' ? 'IP address' : 'FQDN or an IP address';
  return invalid(at, `endpoint address "${address}" is not a valid ${wanted}`);
}

/** What Istio's webhook refuses or warns about in a WorkloadGroup. */
export function checkWorkloadGroup(group: WorkloadGroup): Findings {
  const { template, metadata, probe } = group.spec;
  return [
    ...(template === undefined ? missing('spec.template', 'template is required') : fine),
    ...checkLabels(metadata?.labels, 'spec.metadata.labels'),
    ...(probe === undefined ? fine : checkProbe(probe, 'spec.probe')),
  ];
}

type Probe = NonNullable<WorkloadGroup['spec']['probe']>;
const probeCounts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

function checkProbe(probe: Probe, path: string): Findings {
  return [
    ...probeCounts.flatMap((name) =>
      (probe[name] ?? 0) < 0 ? invalid(`${path}.${name}`, `${name} must be non-negative`) : fine,
    ),
    ...checkProbeMethod(probe, path),
  ];
}

function checkProbeMethod(probe: Probe, path: string): Findings {
  const { httpGet, tcpSocket, exec, grpc } = probe;
  if (grpc !== undefined) return checkPortNumber(grpc.port, `${path}.grpc.port`);
  if (exec !== undefined) {
    return (exec.command ?? []).length === 0 ? missing(`${path}.exec.command`, 'exec.command is required') : fine;
  }
  if (tcpSocket !== undefined) return checkPortNumber(tcpSocket.port, `${path}.tcpSocket.port`);
  if (httpGet === undefined) return missing(path, 'one of httpGet, tcpSocket, exec and grpc must be set');
  return [
    ...checkPortNumber(httpGet.port, `${path}.httpGet.port`),
    ...(['', 'HTTP', 'HTTPS'].includes(httpGet.scheme ?? '')
      ? fine
      : invalid(`${path}.httpGet.scheme`, 'httpGet.scheme must be one of "HTTPS", "HTTP"')),
    ...each(httpGet.httpHeaders, `${path}.httpGet.httpHeaders`, (header, at) =>
      checkPlainHeaderName(header.name, `${at}.name`),
    ),
  ];
}

/** Checks the name of an HTTP header as Istio takes it: letters, digits, `-` and `_`. */
export function checkPlainHeaderName(name: string | undefined, path: string): Findings {
  if (name === undefined || name === '') return missing(path, 'header name cannot be empty');
  return /^[-_A-Za-z0-9]+$/.test(name) ? fine : invalid(path, `header name ${name} is not a valid header name`);
}
