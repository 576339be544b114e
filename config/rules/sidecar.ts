// Rules of Sidecar.
import type { OutboundTrafficPolicy, Sidecar, SidecarEgress, SidecarIngress, SidecarPort } from '../kinds/sidecar.ts';
import { checkIpAddress, checkUnixPath, unixPrefix } from './addresses.ts';
import { checkConnectionPool } from './connection-pool.ts';
import { doubtful, each, type Findings, fine, invalid, missing, shadowed, unique } from './finding.ts';
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
    ...checkHosts(egress),
    ...checkOutbound(spec.outboundTrafficPolicy, 'spec.outboundTrafficPolicy'),
  ];
}

function uniqueListeners(listeners: readonly { port?: SidecarPort; bind?: string }[], path: string): Findings {
  const withPort = listeners.map(({ port, bind = '' }) => ({ port, bind, number: port?.number ?? 0 }));
  return [
    ...unique(
      withPort,
      path,
      ({ port, bind, number }) => (port === undefined || number === 0 ? undefined : `${bind}:${number}`),
      () => 'sidecar: ports on IP bound listeners must be unique',
    ),
    ...unique(
      withPort,
      path,
      ({ port, bind, number }) =>
        port !== undefined && number === 0 && bind.startsWith(unixPrefix) ? bind : undefined,
      () => 'sidecar: unix domain socket values for listeners must be unique',
    ),
  ];
}

function checkPortForm(port: SidecarPort, path: string): Findings {
  return [
    ...((port.name ?? '') === '' ? fine : checkPortName(port.name, `${path}.name`)),
    ...((port.protocol ?? '') === '' ? fine : checkProtocol(port.protocol, `${path}.protocol`)),
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

const endpointHosts: ReadonlySet<string> = new Set(['127.0.0.1', '0.0.0.0', '[::1]', '[::]']);

function checkEndpoint(endpoint: string, path: string): Findings {
  if (endpoint === '') return fine;
  if (endpoint.startsWith(unixPrefix)) return checkUnixPath(endpoint.slice(unixPrefix.length), path);
  const colon = endpoint.lastIndexOf(':');
  const host = colon < 0 ? endpoint : endpoint.slice(0, colon);
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
  const { port, bind = '', hosts = [] } = listener;
  return [
    ...(port === undefined
      ? last
        ? fine
        : invalid(path, 'sidecar: the egress listener with empty port should be the last listener in the list')
      : checkEgressPort(port, bind, path)),
    ...(hosts.length === 0
      ? missing(`${path}.hosts`, 'sidecar: egress listener must contain at least one host')
      : each(hosts, `${path}.hosts`, checkHost)),
  ];
}

function checkEgressPort(port: SidecarPort, bind: string, path: string): Findings {
  const form = checkPortForm(port, `${path}.port`);
  if ((port.number ?? 0) !== 0) {
    return [
      ...form,
      ...checkPortNumber(port.number, `${path}.port.number`),
      ...(bind === '' ? fine : checkIpAddress(bind, `${path}.bind`)),
    ];
  }
  if (bind.startsWith(unixPrefix)) return [...form, ...checkUnixPath(bind.slice(unixPrefix.length), `${path}.bind`)];
  return [
    ...form,
    ...invalid(`${path}.port.number`, 'sidecar: ports with 0 value must have a unix domain socket bind address'),
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

/** Finds hosts that select what others have selected before. */
function checkHosts(egress: readonly SidecarEgress[]): Findings {
  const seen = new Set<string>();
  return each(egress, 'spec.egress', (listener, path) => {
    const hosts = listener.hosts ?? [];
    const all = hosts.includes('*/*') && hosts.length > 1;
    if (listener.port !== undefined) return fine;
    return [
      ...(all ? doubtful(`${path}.hosts`, '`*/*` host select all resources, no other hosts can be added') : fine),
      ...(all ? fine : each(hosts, `${path}.hosts`, (host, at) => checkRepeated(host, seen, at))),
    ];
  });
}

function checkRepeated(host: string, seen: Set<string>, path: string): Findings {
  const namespace = host.split('/', 1)[0] ?? '';
  const repeated = seen.has(host) || seen.has(`${namespace}/*`);
  seen.add(host);
  return repeated ? doubtful(path, `duplicated egress host: ${host}`) : fine;
}

function checkOutbound(policy: OutboundTrafficPolicy | undefined, path: string): Findings {
  const proxy = policy?.egressProxy;
  const unsupported: Findings =
    policy?.mode === 'ALLOW_ANY_DYNAMIC_DNS'
      ? invalid(`${path}.mode`, 'sidecar: ALLOW_ANY_DYNAMIC_DNS mode is only supported in MeshConfig')
      : fine;
  if (proxy === undefined) return unsupported;
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
