// Rules of Sidecar.
import type { OutboundTrafficPolicy, Sidecar, SidecarEgress, SidecarIngress, SidecarPort } from '../kinds/sidecar.ts';
import { checkIpAddress, checkUnixPath, unixPrefix } from './addresses.ts';
import { checkConnectionPool } from './connection-pool.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing, shadowed, unique } from './finding.ts';
import {
  checkDomain,
  checkPortName,
  checkPortNumber,
  checkProtocol,
  checkSubsetName,
  checkWildcardDomain,
  isDnsLabel,
} from './names.ts';
import { isHttpProtocol, isTlsProtocol } from './protocols.ts';
import { checkLabelsSelector } from './selectors.ts';
import { checkServerTls } from './server-tls.ts';

/** What Istio's webhook refuses or warns about in a Sidecar. */
export function checkSidecar(sidecar: Sidecar): Findings {
  const spec = sidecar.spec ?? {};
  const { ingress = [], egress = [] } = spec;
  const empty =
    ingress.length === 0 &&
    egress.length === 0 &&
    spec.outboundTrafficPolicy === undefined &&
    spec.inboundConnectionPool === undefined;
  return [
    ...checkLabelsSelector(spec.workloadSelector, 'spec.workloadSelector'),
    ...(empty ? missing('spec', 'sidecar: empty configuration provided') : fine),
    ...each(ingress, 'spec.ingress', checkIngress),
    ...uniqueListeners(ingress, 'spec.ingress'),
    ...checkConnectionPool(spec.inboundConnectionPool, 'spec.inboundConnectionPool'),
    ...each(egress, 'spec.egress', (listener, path, index) => checkEgress(listener, path, index === egress.length - 1)),
    ...uniqueListeners(egress, 'spec.egress'),
    ...each(egress, 'spec.egress', ({ hosts = [] }, path) =>
      checkRepeated(hosts, sidecar.metadata.namespace, `${path}.hosts`),
    ),
    ...checkOutbound(spec.outboundTrafficPolicy, 'spec.outboundTrafficPolicy'),
  ];
}

/** One listener for each port, whatever its address: Istio names its listeners by the port. */
function uniqueListeners(listeners: readonly { port?: SidecarPort; bind?: string }[], path: string): Findings {
  return [
    ...unique(
      listeners,
      path,
      ({ port }) => (port === undefined || (port.number ?? 0) === 0 ? undefined : String(port.number)),
      () => 'sidecar: ports on IP bound listeners must be unique',
    ),
    ...unique(
      listeners,
      path,
      ({ port, bind = '' }) => (port !== undefined && (port.number ?? 0) === 0 ? bind : undefined),
      () => 'sidecar: unix domain socket values for listeners must be unique',
    ),
  ];
}

function checkPortForm(port: SidecarPort, path: string): Findings {
  return [
    ...((port.name ?? '') === '' ? fine : checkPortName(port.name, `${path}.name`)),
    ...((port.protocol ?? '') === '' ? fine : checkProtocol(port.protocol, `${path}.protocol`)),
    ...((port.targetPort ?? 0) > 0 ? invalid(`${path}.targetPort`, 'targetPort has no impact on Sidecars') : fine),
  ];
}

function checkIngress(listener: SidecarIngress, path: string): Findings {
  const { port, bind = '' } = listener;
  if (port === undefined) return missing(`${path}.port`, 'sidecar: port is required for ingress listeners');
  const protocol = (port.protocol ?? '').toLowerCase();
  return [
    ...checkPortForm(port, `${path}.port`),
    ...checkPortNumber(port.number, `${path}.port.number`),
    ...(bind === '' ? fine : checkIpAddress(bind, `${path}.bind`)),
    ...checkEndpoint(listener.defaultEndpoint ?? '', `${path}.defaultEndpoint`),
    ...checkTls(listener.tls, protocol, `${path}.tls`),
    ...checkConnectionPool(listener.connectionPool, `${path}.connectionPool`),
    ...(listener.connectionPool?.http !== undefined && !isHttpProtocol(protocol)
      ? shadowed(
          `${path}.connectionPool.http`,
          `HTTP connection pool settings are configured but the protocol of the port is not HTTP (${protocol}); only TCP settings will apply`,
        )
      : fine),
  ];
}

const endpointHosts: ReadonlySet<string> = new Set(['', '127.0.0.1', '0.0.0.0', '[::1]', '[::]']);

function checkEndpoint(endpoint: string, path: string): Findings {
  if (endpoint === '') return fine;
  if (endpoint.startsWith(unixPrefix)) return checkUnixPath(endpoint.slice(unixPrefix.length), path);
  const colon = endpoint.lastIndexOf(':');
  if (colon < 0) return invalid(path, 'sidecar: defaultEndpoint has no port');
  const host = endpoint.slice(0, colon);
  if (!endpointHosts.has(host)) {
    return invalid(
      path,
      'sidecar: defaultEndpoint must be of form 127.0.0.1:<port>, 0.0.0.0:<port>, [::1]:<port>, [::]:<port>, unix://filepath or unset',
    );
  }
  const port = endpoint.slice(colon + 1);
  return /^[0-9]{1,9}$/.test(port)
    ? checkPortNumber(Number(port), path)
    : invalid(path, `sidecar: defaultEndpoint port (${port}) is not a number`);
}

function checkTls(tls: SidecarIngress['tls'], protocol: string, path: string): Findings {
  if (tls === undefined) return fine;
  const unsupported = [
    ['credentialName', (tls.credentialName ?? '') !== ''],
    ['credentialNames', (tls.credentialNames ?? []).length > 0],
    ['tlsCertificates', (tls.tlsCertificates ?? []).length > 0],
    ['subjectAltNames', (tls.subjectAltNames ?? []).length > 0],
    ['httpsRedirect', tls.httpsRedirect === true],
  ] as const;
  const mode = tls.mode ?? 'PASSTHROUGH';
  return [
    ...(mode === 'ISTIO_MUTUAL' || mode === 'AUTO_PASSTHROUGH'
      ? invalid(`${path}.mode`, `cannot set mode to ${mode} in sidecar ingress tls`)
      : fine),
    ...(isTlsProtocol(protocol) ? fine : invalid(path, 'server cannot have TLS settings for non HTTPS/TLS ports')),
    ...unsupported.flatMap(([name, set]) =>
      set ? invalid(`${path}.${name}`, `sidecar: ${name} is not supported in ingress tls`) : fine,
    ),
    ...checkServerTls(tls, path),
  ];
}

function checkEgress(listener: SidecarEgress, path: string, last: boolean): Findings {
  const { port, hosts = [] } = listener;
  return [
    ...(port === undefined
      ? last
        ? fine
        : invalid(path, 'sidecar: the egress listener with empty port should be the last listener in the list')
      : checkEgressPort(port, listener, path)),
    ...(hosts.length === 0
      ? missing(`${path}.hosts`, 'sidecar: egress listener must contain at least one host')
      : each(hosts, `${path}.hosts`, checkHost)),
  ];
}

function checkEgressPort(port: SidecarPort, { bind = '', captureMode }: SidecarEgress, path: string): Findings {
  const form = checkPortForm(port, `${path}.port`);
  if ((port.number ?? 0) !== 0) {
    return [
      ...form,
      ...checkPortNumber(port.number, `${path}.port.number`),
      ...(bind === '' ? fine : checkIpAddress(bind, `${path}.bind`)),
    ];
  }
  return [
    ...form,
    ...(bind.startsWith(unixPrefix)
      ? checkUnixPath(bind.slice(unixPrefix.length), `${path}.bind`)
      : invalid(`${path}.port.number`, 'sidecar: ports with 0 value must have a unix domain socket bind address')),
    ...(captureMode === 'IPTABLES'
      ? conflict(`${path}.captureMode`, 'sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners')
      : fine),
  ];
}

function checkHost(entry: string, path: string): Findings {
  const [namespace = '', host = '', ...rest] = entry.split('/');
  if (!entry.includes('/') || rest.length > 0) return invalid(path, 'host must be of form namespace/dnsName');
  const wildcards = namespace === '*' || namespace === '.' || namespace === '~';
  // `~name` takes a namespace out of what the other entries select.
  const excluded = namespace.startsWith('~') && isDnsLabel(namespace.slice(1));
  return [
    ...(namespace === '' || host === ''
      ? invalid(path, 'config namespace and dnsName in host entry cannot be empty')
      : fine),
    ...(namespace === '' || wildcards || excluded || isDnsLabel(namespace)
      ? fine
      : invalid(path, `invalid namespace value "${namespace}" in sidecar`)),
    ...(host === '*' || host.includes('.') || host === ''
      ? fine
      : invalid(path, 'short names (non FQDN) are not allowed')),
    ...(host === '*' ? fine : checkWildcardDomain(host, path)),
    ...(host.includes('*') && host !== '*' && !host.startsWith('*.')
      ? invalid(path, `partial wildcard "${host}" not allowed`)
      : fine),
  ];
}

/** Finds hosts of a listener that select what others of it have selected before. What begins with `~` selects nothing. */
function checkRepeated(hosts: readonly string[], own: string, path: string): Findings {
  const seen = new Map<string, Set<string>>();
  const repeated = each(hosts, path, (entry, at) => {
    const slash = entry.indexOf('/');
    if (slash < 0 || entry.startsWith('~')) return fine;
    const [namespace, host] = [entry.slice(0, slash), entry.slice(slash + 1)];
    const key = namespace === '.' ? own : namespace;
    const before = seen.get(key) ?? new Set();
    const covered = host === '*' ? before.size > 0 : before.has(host) || before.has('*');
    seen.set(key, before.add(host));
    return covered ? doubtful(at, `duplicated egress host: ${entry}`) : fine;
  });
  const everything = seen.get('*')?.has('*') === true && seen.size > 1;
  return [
    ...repeated,
    ...(everything ? doubtful(path, '`*/*` host select all resources, no other hosts can be added') : fine),
  ];
}

function checkOutbound(policy: OutboundTrafficPolicy | undefined, path: string): Findings {
  const proxy = policy?.egressProxy;
  const unsupported: Findings =
    policy?.mode === 'ALLOW_ANY_DYNAMIC_DNS'
      ? invalid(`${path}.mode`, 'sidecar: ALLOW_ANY_DYNAMIC_DNS mode is only supported in MeshConfig')
      : fine;
  if (proxy === undefined) return unsupported;
  if (policy?.mode !== 'ALLOW_ANY') {
    return [
      ...unsupported,
      ...conflict(path, 'sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode'),
    ];
  }
  const at = `${path}.egressProxy`;
  return [
    ...unsupported,
    ...(proxy.port === undefined
      ? missing(`${at}.port`, 'sidecar: egress_proxy port must be non-nil')
      : checkPortNumber(proxy.port.number, `${at}.port.number`)),
    ...checkDomain(proxy.host, `${at}.host`),
    ...(proxy.subset === undefined || proxy.subset === '' ? fine : checkSubsetName(proxy.subset, `${at}.subset`)),
  ];
}
