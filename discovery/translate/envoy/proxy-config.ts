// ProxyConfig as translators ask it: the proxy's own where it sent one, else the mesh's default.
import type { ProxySettings as ProxyConfigSettings } from '../../../config/kinds/proxy-settings.ts';
import { query } from '../../graph/graph.ts';
import { mesh } from '../../model/objects.ts';

/**
 * The ProxyConfig of a proxy, by the canonical JSON that it sent (`settings.proxyConfig`) or ''. An agent sends its whole
 * effective configuration, so nothing of the mesh's default is laid under it.
 */
export const proxyConfigOf = query('proxy-config', (read, sent: string): ProxyConfigSettings => {
  if (sent === '') return read(mesh, 'mesh').defaultConfig;
  const parsed: unknown = JSON.parse(sent);
  return typeof parsed === 'object' && parsed !== null ? (parsed as ProxyConfigSettings) : {};
});

/** Headers that a proxy adds or passes on (ProxyConfig.proxyHeaders), with their defaults. */
export interface ProxyHeaders {
  readonly attemptCount: boolean;
  readonly requestId: boolean;
  readonly debugHeaders: boolean;
  readonly preserveCase: boolean;
  readonly forwardedPort: boolean;
  /** Value of the header `server`; undefined leaves the application's. */
  readonly serverName: string | undefined;
  /** Undefined: the default of the listener's direction. */
  readonly forwardedClientCert: string | undefined;
  readonly clientCertDetails: NonNullable<ProxyConfigSettings['proxyHeaders']>['setCurrentClientCertDetails'];
  /** Whether peer metadata is exchanged only with services of the mesh. */
  readonly metadataInMeshOnly: boolean;
}

/** Headers of a proxy, by the same key as `proxyConfigOf`. */
export const proxyHeaders = query('proxy-headers', (read, sent: string): ProxyHeaders => {
  const headers = read(proxyConfigOf, sent).proxyHeaders ?? {};
  const { server, forwardedClientCert, metadataExchangeHeaders } = headers;
  return {
    attemptCount: headers.attemptCount?.disabled !== true,
    requestId: headers.requestId?.disabled !== true,
    debugHeaders: headers.envoyDebugHeaders?.disabled !== true,
    preserveCase: headers.preserveHttp1HeaderCase === true,
    forwardedPort: headers.xForwardedPort?.enabled === true,
    serverName: server?.disabled === true ? undefined : server?.value || 'istio-envoy',
    forwardedClientCert: forwardedClientCert === 'UNDEFINED' ? undefined : forwardedClientCert,
    clientCertDetails: headers.setCurrentClientCertDetails,
    metadataInMeshOnly: metadataExchangeHeaders?.mode === 'IN_MESH',
  };
});
