// The HTTP connection manager: what every listener that speaks HTTP has in common.
import { create } from '@bufbuild/protobuf';
import {
  Http1ProtocolOptionsSchema,
  Http2ProtocolOptionsSchema,
} from '../../../protos/gen/envoy/config/core/v3/protocol_pb.js';
import type { Filter } from '../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { RouteConfiguration } from '../../../protos/gen/envoy/config/route/v3/route_pb.js';
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as Escaped,
  HttpConnectionManager_ForwardClientCertDetails as Forward,
  type HttpConnectionManager,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
  HttpConnectionManagerSchema,
} from '../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { PreserveCaseFormatterConfigSchema } from '../../../protos/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js';
import { UuidRequestIdConfigSchema } from '../../../protos/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js';
import { query, type Read } from '../../graph/graph.ts';
import { facts, mesh } from '../../model/objects.ts';
import { applyConnectionSettings } from './connection-settings.ts';
import { accessLogSettings, accessLogs } from './filters/access-log.ts';
import type { HttpFilterContext } from './filters/context.ts';
import { httpFilters } from './filters/order.ts';
import { networkFilter } from './filters/tcp-proxy.ts';
import { tracingOf } from './filters/tracing.ts';
import { type ProxyHeaders, proxyConfigOf, proxyHeaders } from './proxy-config.ts';
import { adsSource } from './sds.ts';
import { packed, seconds } from './wire.ts';

/** One connection manager. */
export interface HttpConnection {
  readonly context: HttpFilterContext;
  /** Prefix of its statistics, without the `;` by which the bootstrap's tag expressions find its end. */
  readonly statPrefix: string;
  /** A route configuration by name over RDS, or one that stands in the listener. */
  readonly routes: string | RouteConfiguration;
  /** Whether clients address it as a proxy, with whole URLs. */
  readonly explicitProxy: boolean;
  /** Whether HTTP/2 is offered with options of its own (inbound ports known to speak it). */
  readonly http2: boolean;
}

/** The connection manager as a network filter. */
export function httpConnectionFilter(read: Read, connection: HttpConnection): Filter {
  const manager = httpConnectionManager(read, connection);
  return networkFilter('envoy.filters.network.http_connection_manager', packed(HttpConnectionManagerSchema, manager));
}

/** Builds the connection manager; callers may still change what is theirs alone. */
export function httpConnectionManager(read: Read, connection: HttpConnection): HttpConnectionManager {
  const { context, statPrefix } = connection;
  const headers = read(proxyHeaders, context.proxyConfig);
  const settings = read(proxyConfigOf, context.proxyConfig);
  const { normalization, sampling, continue100, http10 } = read(httpDefaults, 'mesh');
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: `${statPrefix};`,
    ...pathOptions[normalization],
    httpFilters: httpFilters(context),
    accessLog: accessLogs(read(accessLogSettings, 'mesh')),
    useRemoteAddress: false,
    proxy100Continue: continue100,
    streamIdleTimeout: seconds(0),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    requestIdExtension: { typedConfig: requestIds },
  });
  setRoutes(manager, connection.routes);
  setProtocols(manager, connection, headers, context.http10 || http10);
  setHeaders(manager, context, headers);
  if (context.direction === 'gateway') manager.xffNumTrustedHops = settings.gatewayTopology?.numTrustedProxies ?? 0;
  if (context.spans !== undefined) manager.tracing = tracingOf(settings.tracing, context.spans, sampling);
  applyConnectionSettings(manager, settings.connectionSettings, context.direction);
  return manager;
}

const requestIds = packed(UuidRequestIdConfigSchema, { useRequestIdForTraceSampling: true });

type Normalization = 'DEFAULT' | 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

interface HttpDefaults {
  readonly normalization: Normalization;
  /** Share of requests that are traced, in percent. */
  readonly sampling: number;
  readonly continue100: boolean;
  /** Whether every proxy takes HTTP/1.0, besides those that ask for it (metadata HTTP10). */
  readonly http10: boolean;
}

const httpDefaults = query('http-defaults', (read, _key: 'mesh'): HttpDefaults => {
  const { features } = read(facts, 'facts');
  const sampling = Number(features['PILOT_TRACE_SAMPLING'] ?? 1);
  return {
    normalization: read(mesh, 'mesh').pathNormalization?.normalization ?? 'DEFAULT',
    sampling: sampling >= 0 && sampling <= 100 ? sampling : 1,
    continue100: features['ENABLE_100_CONTINUE_HEADERS'] !== 'false',
    http10: features['PILOT_HTTP10'] === 'true',
  };
});

type PathOptions = Pick<HttpConnectionManager, 'normalizePath' | 'mergeSlashes' | 'pathWithEscapedSlashesAction'>;

const base: PathOptions = {
  normalizePath: true,
  mergeSlashes: false,
  pathWithEscapedSlashesAction: Escaped.KEEP_UNCHANGED,
};

const pathOptions: Readonly<Record<Normalization, PathOptions>> = {
  DEFAULT: base,
  BASE: base,
  NONE: { ...base, normalizePath: false },
  MERGE_SLASHES: { ...base, mergeSlashes: true },
  DECODE_AND_MERGE_SLASHES: {
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: Escaped.UNESCAPE_AND_FORWARD,
  },
};

function setRoutes(manager: HttpConnectionManager, routes: HttpConnection['routes']): void {
  if (typeof routes !== 'string') {
    manager.routeSpecifier = { case: 'routeConfig', value: routes };
    return;
  }
  const configSource = adsSource();
  configSource.initialFetchTimeout = seconds(0);
  manager.routeSpecifier = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: 'rds', value: { configSource, routeConfigName: routes } },
  }).routeSpecifier;
}

function setProtocols(
  manager: HttpConnectionManager,
  { context, explicitProxy, http2 }: HttpConnection,
  headers: ProxyHeaders,
  http10: boolean,
): void {
  if (http2) manager.http2ProtocolOptions = create(Http2ProtocolOptionsSchema);
  const own = http10 || explicitProxy || headers.preserveCase;
  if (!own && context.direction !== 'gateway') return;
  manager.httpProtocolOptions = create(Http1ProtocolOptionsSchema, {
    acceptHttp10: http10,
    ...(explicitProxy ? { allowAbsoluteUrl: true } : {}),
    ...(headers.preserveCase
      ? { headerKeyFormat: { headerFormat: { case: 'statefulFormatter', value: preserveCase } } }
      : {}),
  });
}

const preserveCase = {
  name: 'preserve_case',
  typedConfig: packed(PreserveCaseFormatterConfigSchema, {}),
};

function setHeaders(manager: HttpConnectionManager, context: HttpFilterContext, headers: ProxyHeaders): void {
  if (!headers.requestId) manager.generateRequestId = false;
  if (context.direction === 'outbound') return;
  const gateway = context.direction === 'gateway';
  manager.useRemoteAddress = gateway;
  if (headers.serverName === undefined) {
    manager.serverHeaderTransformation = HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH;
  } else {
    manager.serverName = headers.serverName;
  }
  manager.appendXForwardedPort = headers.forwardedPort;
  const forward = headers.forwardedClientCert ?? (gateway ? 'SANITIZE_SET' : 'APPEND_FORWARD');
  manager.forwardClientCertDetails = forwarding[forward] ?? Forward.SANITIZE;
  if (forward !== 'APPEND_FORWARD' && forward !== 'SANITIZE_SET') return;
  const details = headers.clientCertDetails ?? { subject: true, dns: true, uri: true, cert: gateway };
  manager.setCurrentClientCertDetails = create(HttpConnectionManager_SetCurrentClientCertDetailsSchema, details);
}

const forwarding: Readonly<Record<string, Forward>> = {
  SANITIZE: Forward.SANITIZE,
  FORWARD_ONLY: Forward.FORWARD_ONLY,
  APPEND_FORWARD: Forward.APPEND_FORWARD,
  SANITIZE_SET: Forward.SANITIZE_SET,
  ALWAYS_FORWARD_ONLY: Forward.ALWAYS_FORWARD_ONLY,
};
