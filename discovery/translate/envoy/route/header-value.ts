// Header values may hold Envoy's commands (`%REQ(x)%`); a percent sign that begins none is text, and is written as such.

/**
 * A value that Envoy takes: it refuses the whole route configuration for a command it does not know, and so other
 * people's routes with it (Envoy: "Access log command operators", as used in custom headers).
 */
export function headerValue(value: string): string {
  return value.replace(/%%|%([A-Z][A-Z0-9_]*)(?:\([^()%]*\))?(?::\d+)?%|%/g, (found, command?: string) =>
    found === '%%' || (command !== undefined && isCommand(command)) ? found : found.replaceAll('%', '%%'),
  );
}

function isCommand(name: string): boolean {
  return commands.has(name) || name.startsWith('DOWNSTREAM_') || name.startsWith('UPSTREAM_');
}

const commands: ReadonlySet<string> = new Set([
  ...['REQ', 'RESP', 'TRAILER', 'PROTOCOL', 'HOSTNAME', 'ENVIRONMENT', 'START_TIME', 'START_TIME_LOCAL', 'EMIT_TIME'],
  ...['DURATION', 'REQUEST_DURATION', 'RESPONSE_DURATION', 'COMMON_DURATION', 'BYTES_RECEIVED', 'BYTES_SENT'],
  ...[
    'RESPONSE_CODE',
    'RESPONSE_CODE_DETAILS',
    'RESPONSE_FLAGS',
    'RESPONSE_FLAGS_LONG',
    'CONNECTION_TERMINATION_DETAILS',
  ],
  ...['REQUESTED_SERVER_NAME', 'ROUTE_NAME', 'VIRTUAL_CLUSTER_NAME', 'CONNECTION_ID', 'STREAM_ID', 'TRACE_ID'],
  ...[
    'DYNAMIC_METADATA',
    'CLUSTER_METADATA',
    'METADATA',
    'FILTER_STATE',
    'PER_REQUEST_STATE',
    'UNIQUE_ID',
    'FILTER_CHAIN_NAME',
  ],
]);
