// Which application protocol a port speaks: by appProtocol, the port's name, or nothing, in which case it is sniffed.
import type { Protocol } from './service.ts';

const byName: ReadonlyMap<string, Protocol> = new Map([
  ['http', 'http'],
  ['http_proxy', 'http'],
  ['http2', 'http2'],
  ['grpc', 'grpc'],
  ['grpc-web', 'grpc-web'],
  ['https', 'https'],
  ['tls', 'tls'],
  ['tcp', 'tcp'],
  ['mongo', 'mongo'],
  ['mysql', 'mysql'],
  ['redis', 'redis'],
  ['udp', 'udp'],
]);

/** Values of appProtocol that Kubernetes itself defines (KEP-3726). */
const byKubernetesName: ReadonlyMap<string, Protocol> = new Map([
  ['kubernetes.io/h2c', 'http2'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'https'],
]);

/** Ports on which the server speaks first, so that sniffing would wait in vain: SMTP, DNS, MySQL, MongoDB. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** The protocol by its name in any case, `auto` where the name means none. */
export function parseProtocol(name: string): Protocol {
  return byName.get(name.toLowerCase()) ?? 'auto';
}

/** What a Kubernetes port says of its protocol. */
export interface PortHints {
  readonly number: number;
  readonly name?: string;
  readonly appProtocol?: string;
  /** TCP, UDP or SCTP. */
  readonly transport?: string;
}

/** The protocol of a Kubernetes port (contract 4.5). */
export function portProtocol(port: PortHints): Protocol {
  if (port.transport === 'UDP') return 'udp';
  const name = port.appProtocol ?? port.name ?? '';
  const standard = port.appProtocol === undefined ? undefined : byKubernetesName.get(port.appProtocol);
  if (standard !== undefined) return standard;
  if (name.toLowerCase().startsWith('grpc-web')) return 'grpc-web';
  const dash = name.indexOf('-');
  const protocol = parseProtocol(dash < 0 ? name : name.slice(0, dash));
  return protocol === 'auto' && serverFirstPorts.has(port.number) ? 'tcp' : protocol;
}

/** Whether requests on such a port are HTTP for certain. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === 'http' || isHttp2(protocol);
}

/** Whether requests on such a port are HTTP/2 for certain. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === 'http2' || protocol === 'grpc' || protocol === 'grpc-web';
}

/** Whether the port carries TLS that the application itself speaks. */
export function isTls(protocol: Protocol): boolean {
  return protocol === 'https' || protocol === 'tls';
}

/** Whether the port is bytes to the proxy: neither HTTP nor TLS nor to be sniffed. MySQL and Redis count as such. */
export function isTcp(protocol: Protocol): boolean {
  return protocol === 'tcp' || protocol === 'mongo' || protocol === 'mysql' || protocol === 'redis';
}
