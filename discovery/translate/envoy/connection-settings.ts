// ProxyConfig.connectionSettings: limits and timeouts of HTTP connections that come in, by hand or by the profile EDGE.
import { create } from '@bufbuild/protobuf';
import type { ProxySettings } from '../../../config/kinds/proxy-settings.ts';
import {
  Http2ProtocolOptionsSchema,
  HttpProtocolOptionsSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores,
} from '../../../protos/gen/envoy/config/core/v3/protocol_pb.js';
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as Escaped,
  type HttpConnectionManager,
} from '../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { Direction } from './filters/context.ts';
import { wireDuration } from './wire.ts';

/** The settings as ProxyConfig writes them. */
export type ConnectionSettings = NonNullable<ProxySettings['connectionSettings']>;

/** Envoy's advice for proxies at the edge ("Configuring Envoy as an edge proxy"), as Istio's profile EDGE takes it over. */
const edge: ConnectionSettings = {
  listenerPerConnectionBufferLimitBytes: 32768,
  clusterPerConnectionBufferLimitBytes: 32768,
  httpIdleTimeout: '3600s',
  httpRequestTimeout: '300s',
  httpRequestHeadersTimeout: '60s',
  httpStreamIdleTimeout: '300s',
  httpMaxConcurrentStreams: 100,
  http2InitialStreamWindowSize: 65536,
  http2InitialConnectionWindowSize: 1048576,
  httpHeadersWithUnderscoresAction: 'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST',
  httpMergeSlashes: true,
  httpPathWithEscapedSlashesAction: 'UNESCAPE_AND_REDIRECT',
};

/** The settings in force: the profile EDGE counts for gateways only. */
export function effectiveSettings(written: ConnectionSettings | undefined, direction: Direction): ConnectionSettings {
  if (written === undefined) return {};
  return written.profile === 'EDGE' && direction === 'gateway' ? { ...edge, ...written } : written;
}

/** Lays the settings over a connection manager. Outbound listeners of sidecars are no edge of anything. */
export function applyConnectionSettings(
  manager: HttpConnectionManager,
  written: ConnectionSettings | undefined,
  direction: Direction,
): void {
  if (written === undefined || direction === 'outbound') return;
  const settings = effectiveSettings(written, direction);
  const streamIdleTimeout = wireDuration(settings.httpStreamIdleTimeout);
  const requestTimeout = wireDuration(settings.httpRequestTimeout);
  const requestHeadersTimeout = wireDuration(settings.httpRequestHeadersTimeout);
  const drainTimeout = wireDuration(settings.httpDrainTimeout);
  if (streamIdleTimeout !== undefined) manager.streamIdleTimeout = streamIdleTimeout;
  if (requestTimeout !== undefined) manager.requestTimeout = requestTimeout;
  if (requestHeadersTimeout !== undefined) manager.requestHeadersTimeout = requestHeadersTimeout;
  if (drainTimeout !== undefined) manager.drainTimeout = drainTimeout;
  if (settings.httpMergeSlashes !== undefined) manager.mergeSlashes = settings.httpMergeSlashes;
  const escaped = escapedActions[settings.httpPathWithEscapedSlashesAction ?? ''];
  if (escaped !== undefined) manager.pathWithEscapedSlashesAction = escaped;
  applyHttp(manager, settings);
  applyHttp2(manager, settings);
}

function applyHttp(manager: HttpConnectionManager, settings: ConnectionSettings): void {
  const idleTimeout = wireDuration(settings.httpIdleTimeout);
  const maxConnectionDuration = wireDuration(settings.httpMaxConnectionDuration);
  const maxStreamDuration = wireDuration(settings.httpMaxStreamDuration);
  const underscores = underscoreActions[settings.httpHeadersWithUnderscoresAction ?? ''];
  if ([idleTimeout, maxConnectionDuration, maxStreamDuration, underscores].every((value) => value === undefined)) {
    return;
  }
  manager.commonHttpProtocolOptions = create(HttpProtocolOptionsSchema, {
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    ...(maxConnectionDuration === undefined ? {} : { maxConnectionDuration }),
    ...(maxStreamDuration === undefined ? {} : { maxStreamDuration }),
    ...(underscores === undefined ? {} : { headersWithUnderscoresAction: underscores }),
  });
}

function applyHttp2(manager: HttpConnectionManager, settings: ConnectionSettings): void {
  const { httpMaxConcurrentStreams: streams = 0 } = settings;
  const { http2InitialStreamWindowSize: streamWindow = 0, http2InitialConnectionWindowSize: window = 0 } = settings;
  if (streams <= 0 && streamWindow <= 0 && window <= 0) return;
  const options = manager.http2ProtocolOptions ?? create(Http2ProtocolOptionsSchema);
  if (streams > 0) options.maxConcurrentStreams = streams;
  if (streamWindow > 0) options.initialStreamWindowSize = streamWindow;
  if (window > 0) options.initialConnectionWindowSize = window;
  manager.http2ProtocolOptions = options;
}

const escapedActions: Readonly<Record<string, Escaped>> = {
  KEEP_UNCHANGED: Escaped.KEEP_UNCHANGED,
  REJECT_REQUEST: Escaped.REJECT_REQUEST,
  UNESCAPE_AND_REDIRECT: Escaped.UNESCAPE_AND_REDIRECT,
  UNESCAPE_AND_FORWARD: Escaped.UNESCAPE_AND_FORWARD,
};

const underscoreActions: Readonly<Record<string, Underscores>> = {
  HEADERS_WITH_UNDERSCORES_ALLOW: Underscores.ALLOW,
  HEADERS_WITH_UNDERSCORES_REJECT_REQUEST: Underscores.REJECT_REQUEST,
  HEADERS_WITH_UNDERSCORES_DROP_HEADER: Underscores.DROP_HEADER,
};
