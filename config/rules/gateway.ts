// Rules of Gateway.
import type { Gateway, GatewayPort, GatewayServer } from '../kinds/gateway.ts';
import { checkIpAddress, checkUnixPath, isIpAddress, unixPrefix } from './addresses.ts';
import { conflict, doubtful, duplicate, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkPortNumber, isDnsLabel, wildcardDomainProblem } from './names.ts';
import { isHttpProtocol, isProtocol, isTlsProtocol } from './protocols.ts';
import { checkServerTls } from './server-tls.ts';

/** What is wrong or doubtful in a Gateway. */
export function checkGateway(object: Gateway): Findings {
  const { name, annotations } = object.metadata;
  // Gateways that stand for one of the Gateway API may bind to no namespace at all: `~`.
  const ofGatewayApi = annotations?.['internal.istio.io/gateway-semantics'] === 'gateway';
  const servers = object.spec.servers ?? [];
  return [
    ...(isDnsLabel(name) ? fine : invalid('metadata.name', `invalid gateway name: "${name}"`)),
    ...(servers.length === 0 ? missing('spec.servers', 'gateway must have at least one server') : fine),
    ...each(servers, 'spec.servers', (server, path) => checkServer(server, path, ofGatewayApi)),
    ...checkPortNames(servers),
    ...each(servers, 'spec.servers', ({ port, tls }, path) =>
      port !== undefined && !isHttpProtocol(port.protocol) && tls?.httpsRedirect === true
        ? doubtful(`${path}.tls.httpsRedirect`, 'tls.httpsRedirect should only be used with http servers')
        : fine,
    ),
  ];
}

function checkServer(server: GatewayServer, path: string, ofGatewayApi: boolean): Findings {
  const port = checkServerPort(server, `${path}.port`);
  return [
    ...((server.hosts ?? []).length === 0
      ? missing(`${path}.hosts`, 'server config must contain at least one host')
      : fine),
    ...each(server.hosts, `${path}.hosts`, (host, at) => checkGatewayHost(host, at, ofGatewayApi)),
    ...port,
    ...checkBind(server, path),
    ...checkServerTls(server.tls, `${path}.tls`),
    ...(port.length === 0 ? checkTlsForProtocol(server, path) : fine),
  ];
}

/** Checks `namespace/host` or a host alone. */
function checkGatewayHost(entry: string, path: string, ofGatewayApi: boolean): Findings {
  const slash = entry.indexOf('/');
  if (slash < 0) return checkHost(entry, path);
  const namespace = entry.slice(0, slash);
  const host = entry.slice(slash + 1);
  return [
    ...(namespace === '' || host === ''
      ? invalid(path, 'config namespace and dnsName in host entry cannot be empty')
      : fine),
    ...(['*', '.', ''].includes(namespace) || (namespace === '~' && ofGatewayApi) || isDnsLabel(namespace)
      ? fine
      : invalid(path, `invalid namespace value "${namespace}" in gateway`)),
    ...checkHost(host, path),
  ];
}

function checkHost(host: string, path: string): Findings {
  const problem = wildcardDomainProblem(host);
  return [
    ...(host !== '*' && !host.includes('.') ? invalid(path, 'short names (non FQDN) are not allowed') : fine),
    ...(problem === undefined || isIpAddress(host) ? fine : invalid(path, problem)),
    ...(/^\*[^.]/.test(host) ? invalid(path, `partial wildcard "${host}" not allowed`) : fine),
  ];
}

function checkServerPort({ port, bind }: GatewayServer, path: string): Findings {
  if (port === undefined) return missing(path, 'port is required');
  const onSocket = (bind ?? '').startsWith(unixPrefix);
  return [
    ...(isProtocol(port.protocol)
      ? fine
      : invalid(
          `${path}.protocol`,
          `invalid protocol "${port.protocol ?? ''}", supported protocols are HTTP, HTTP2, HTTPS, TLS, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP`,
        )),
    ...((port.number ?? 0) > 0 || !onSocket ? checkPortNumber(port.number, `${path}.number`) : fine),
    ...((port.name ?? '') === '' ? missing(`${path}.name`, 'port name must be set') : fine),
  ];
}

function checkBind({ port, bind }: GatewayServer, path: string): Findings {
  const at = `${path}.bind`;
  if (bind === undefined || bind === '') return fine;
  if (!bind.startsWith(unixPrefix)) return checkIpAddress(bind, at);
  return [
    ...checkUnixPath(bind.slice(unixPrefix.length), at),
    ...((port?.number ?? 0) === 0
      ? fine
      : conflict(`${path}.port.number`, 'port number must be 0 for unix domain socket')),
  ];
}

function checkTlsForProtocol({ port, tls }: GatewayServer, path: string): Findings {
  if (isTlsProtocol(port?.protocol)) {
    return tls === undefined ? missing(`${path}.tls`, 'server must have TLS settings for HTTPS/TLS protocols') : fine;
  }
  if (tls === undefined) return fine;
  if (!isHttpProtocol(port?.protocol)) {
    return conflict(`${path}.tls`, 'server cannot have TLS settings for non HTTPS/TLS ports');
  }
  const onlyRedirects = (tls.mode ?? 'PASSTHROUGH') === 'PASSTHROUGH';
  return onlyRedirects ? fine : conflict(`${path}.tls`, 'server cannot have TLS settings for plain text HTTP ports');
}

function checkPortNames(servers: readonly GatewayServer[]): Findings {
  const seen = new Set<string>();
  return each(servers, 'spec.servers', ({ port }: { readonly port?: GatewayPort }, path) => {
    if (port === undefined) return fine;
    const name = port.name ?? '';
    if (seen.has(name))
      return duplicate(`${path}.port.name`, `port names in servers must be unique: duplicate name ${name}`);
    seen.add(name);
    return fine;
  });
}
