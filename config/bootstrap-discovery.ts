// The way of a plain Envoy to the control plane: a cluster that follows the roots and the token in their files (ADR 62).
import { isIP } from 'node:net';
import { type Json, socketAddress } from './bootstrap-address.ts';
import { type HostPort, parseHostPort } from './host-port.ts';

/** How the proxy reaches the control plane. */
export interface DiscoveryOptions {
  /** `host:port` of the xDS server; a missing port is 15012, or 15010 without TLS. */
  readonly address: string;
  /** Absent: plaintext, no identity and therefore no secrets. */
  readonly tls?: {
    /**
     * File with the PEM roots that the server's certificate must chain to. It is followed: replace it by a rename, or by
     * the symlink that a mounted folder swaps. Beside it lies `rootsSecretFile(caFile)`.
     */
    readonly caFile: string;
    /** File with a bearer token; read anew for each stream, so a rotated token is picked up. */
    readonly tokenFile?: string;
    /** The name to verify instead of the host of `address`. */
    readonly serverName?: string;
  };
}

type JsonObject = { readonly [key: string]: Json };

const clusterName = 'xds-grpc';
const types = 'type.googleapis.com/envoy.extensions';
const secretName = 'control-plane-roots';
/** Seconds for a connection with its handshake: a control plane that comes back to thousands of proxies needs some. */
const connectTimeout = '10s';

/** The file in which Envoy looks for what `rootsSecret` gives. */
export function rootsSecretFile(caFile: string): string {
  return `${caFile}.json`;
}

/**
 * The content of `rootsSecretFile`, a DiscoveryResponse with one Secret; it is the same before and after any change of
 * the roots. Envoy looks at a file of roots once, unless a Secret that was discovered names it
 * (envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext, trusted_ca).
 */
export function rootsSecret(caFile: string): JsonObject {
  const secret = { name: secretName, validation_context: { trusted_ca: { filename: caFile } } };
  return { resources: [{ '@type': `${types}.transport_sockets.tls.v3.Secret`, ...secret }] };
}

/** The bootstrap's `dynamic_resources`: listeners and clusters over one stream. */
export function dynamicResources(discovery: DiscoveryOptions): JsonObject {
  // A zero timeout makes Envoy wait for its first clusters and listeners, so that it never serves half a configuration.
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' };
  return {
    lds_config: ads,
    cds_config: ads,
    ads_config: {
      api_type: 'DELTA_GRPC',
      transport_api_version: 'V3',
      set_node_on_first_message_only: true,
      grpc_services: [{ envoy_grpc: { cluster_name: clusterName, authority: serverNameOf(discovery) } }],
    },
  };
}

/** The cluster of the control plane. */
export function discoveryCluster(discovery: DiscoveryOptions): JsonObject {
  const { host, port } = placeOf(discovery);
  const { tls } = discovery;
  return {
    name: clusterName,
    // One stream to whatever the name means at the time, over IPv4 or IPv6.
    type: 'LOGICAL_DNS',
    dns_lookup_family: 'ALL',
    connect_timeout: connectTimeout,
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: {
          http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '10s' } },
        },
        ...(tls?.tokenFile === undefined ? {} : { http_filters: tokenFilters(tls.tokenFile) }),
      },
    },
    load_assignment: {
      cluster_name: clusterName,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress({ address: host, port }) } }] }],
    },
    ...(tls === undefined ? {} : { transport_socket: transportSocket(tls.caFile, serverNameOf(discovery)) }),
  };
}

function serverNameOf(discovery: DiscoveryOptions): string {
  return discovery.tls?.serverName ?? placeOf(discovery).host;
}

function transportSocket(caFile: string, serverName: string): JsonObject {
  const isName = isIP(serverName) === 0;
  const name = { san_type: isName ? 'DNS' : 'IP_ADDRESS', matcher: { exact: serverName } };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      ...(isName ? { sni: serverName } : {}),
      // A resumed session would not be verified by the roots in force.
      max_session_keys: 0,
      common_tls_context: {
        alpn_protocols: ['h2'],
        combined_validation_context: {
          default_validation_context: { match_typed_subject_alt_names: [name] },
          validation_context_sds_secret_config: {
            name: secretName,
            sds_config: { path_config_source: { path: rootsSecretFile(caFile) }, resource_api_version: 'V3' },
          },
        },
      },
    },
  };
}

/**
 * Filters that put the token on each stream. Envoy's own gRPC client reads no token from a file, and Google's, which
 * does, reads the roots only once.
 */
function tokenFilters(tokenFile: string): readonly Json[] {
  const path = luaText(tokenFile);
  const code = [
    'function envoy_on_request(handle)',
    `  local file = io.open(${path}, "r")`,
    '  local token = file and file:read("*l")',
    '  if file then file:close() end',
    '  if token then handle:headers():replace("authorization", "Bearer " .. token)',
    `  else handle:logErr("no token in " .. ${path}) end`,
    'end',
  ].join('\n');
  return [
    {
      name: 'token',
      typed_config: { '@type': `${types}.filters.http.lua.v3.Lua`, default_source_code: { inline_string: code } },
    },
    { name: 'codec', typed_config: { '@type': `${types}.filters.http.upstream_codec.v3.UpstreamCodec` } },
  ];
}

/** A Lua string; bytes that could end it are escaped by their number. */
function luaText(text: string): string {
  const escaped = text.replace(/["\\\p{Cc}]/gu, (character) => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`);
  return `"${escaped}"`;
}

/** Where the xDS server is. A text that is no address is a name, so that Envoy says of it that it cannot be resolved. */
function placeOf({ address, tls }: DiscoveryOptions): HostPort {
  const port = tls === undefined ? 15010 : 15012;
  return parseHostPort(address, port) ?? { host: address, port };
}
