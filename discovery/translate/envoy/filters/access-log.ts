// Access logs by MeshConfig: where they go and what they say.
import { create, type JsonObject } from '@bufbuild/protobuf';
import {
  type AccessLog,
  AccessLogFilterSchema,
  AccessLogSchema,
} from '../../../../protos/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import {
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from '../../../../protos/gen/envoy/config/core/v3/substitution_format_string_pb.js';
import { FileAccessLogSchema } from '../../../../protos/gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { query } from '../../../graph/graph.ts';
import { mesh } from '../../../model/objects.ts';
import { packed } from '../wire.ts';

/** What the mesh logs; an empty file is nothing. */
export interface AccessLogSettings {
  readonly file: string;
  readonly format: string;
  readonly json: boolean;
}

/** The mesh's access log settings. */
export const accessLogSettings = query('access-log-settings', (read, _key: 'mesh'): AccessLogSettings => {
  const { accessLogFile, accessLogFormat, accessLogEncoding } = read(mesh, 'mesh');
  return { file: accessLogFile ?? '', format: accessLogFormat ?? '', json: accessLogEncoding === 'JSON' };
});

/** Logs of connections and requests. */
export function accessLogs(settings: AccessLogSettings): AccessLog[] {
  const { file } = settings;
  if (file === '') return [];
  const typedConfig = packed(FileAccessLogSchema, {
    path: file,
    accessLogFormat: { case: 'logFormat', value: formatOf(settings) },
  });
  const name = 'envoy.access_loggers.file';
  return [create(AccessLogSchema, { name, configType: { case: 'typedConfig', value: typedConfig } })];
}

/** Logs of connections for which a listener has no filter chain. */
export function listenerLogs(settings: AccessLogSettings): AccessLog[] {
  return accessLogs(settings).map((log) => {
    const filter = create(AccessLogFilterSchema, {
      filterSpecifier: { case: 'responseFlagFilter', value: { flags: ['NR'] } },
    });
    return create(AccessLogSchema, { ...log, filter });
  });
}

function formatOf({ format, json }: AccessLogSettings): SubstitutionFormatString {
  if (!json) {
    const text = format === '' ? defaultText : format.endsWith('\n') ? format : `${format}\n`;
    return create(SubstitutionFormatStringSchema, {
      format: { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: text } } },
    });
  }
  return create(SubstitutionFormatStringSchema, {
    format: { case: 'jsonFormat', value: jsonFormat(format) },
    jsonFormatOptions: {},
  });
}

/** Keys are sorted, or each restart would drain all connections (contract 5.2, #32). A format that is no object counts as none. */
function jsonFormat(format: string): JsonObject {
  const parsed = format === '' ? undefined : parseObject(format);
  return sorted(parsed ?? defaultJson);
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

function sorted(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const defaultText =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const defaultJson: JsonObject = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};
