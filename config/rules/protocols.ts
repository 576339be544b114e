// Names of protocols of ports, in any case.

const http: ReadonlySet<string> = new Set(['http', 'http2', 'http_proxy', 'grpc', 'grpc-web']);
const tls: ReadonlySet<string> = new Set(['https', 'tls']);
const others: ReadonlySet<string> = new Set(['tcp', 'udp', 'mongo', 'redis', 'mysql', 'hbone']);

/** Whether a protocol is a known one. */
export function isProtocol(name: string | undefined): boolean {
  return isHttpProtocol(name) || isTlsProtocol(name) || others.has((name ?? '').toLowerCase());
}

/** Whether a protocol is HTTP without TLS. */
export function isHttpProtocol(name: string | undefined): boolean {
  return http.has((name ?? '').toLowerCase());
}

/** Whether a protocol is one inside TLS. */
export function isTlsProtocol(name: string | undefined): boolean {
  return tls.has((name ?? '').toLowerCase());
}
