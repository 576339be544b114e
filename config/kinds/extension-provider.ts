// Extension providers of MeshConfig: external authorization, tracing, metrics and access log services.
import {
  choice,
  duration,
  flag,
  int32,
  int64,
  listOf,
  mapOf,
  message,
  struct,
  text,
  uint32,
  type ValueOf,
} from './field.ts';

const warn = { unknownFields: 'warn' } as const;
const service = text('Host of the service, `[namespace/]host`.');
const port = uint32('Port of the service.');
const maxTagLength = uint32('Length at which the path in a span is cut.');

const header = message(
  'A header.',
  { name: text('Name.'), value: text('Value.'), envName: text('Environment variable that holds the value.') },
  warn,
);

const httpService = message(
  'HTTP settings.',
  { path: text('Path.'), timeout: duration('Time for a request.'), headers: listOf(header, 'Headers to send.') },
  warn,
);

const requestBody = message(
  'The request body in the check.',
  {
    maxRequestBytes: uint32('Most bytes sent.'),
    allowPartialMessage: flag('Sends what there is once the limit is reached.'),
    packAsBytes: flag('Sends bytes rather than UTF-8.'),
  },
  warn,
);

const extAuthzHttp = message(
  'External authorization over HTTP.',
  {
    service,
    port,
    timeout: duration('Time for a check.'),
    pathPrefix: text('Prefix of the path of the check.'),
    failOpen: flag('Lets requests pass when the service fails.'),
    clearRouteCache: flag('Chooses the route anew after the check.'),
    statusOnError: text('HTTP status when the service fails.'),
    includeHeadersInCheck: listOf(text('A header.'), 'Former name of includeRequestHeadersInCheck.', {
      deprecated: true,
    }),
    includeRequestHeadersInCheck: listOf(text('A header; `*` at either end allowed.'), 'Request headers to send.'),
    includeAdditionalHeadersInCheck: mapOf(text('Value.'), 'Headers to add.'),
    includeRequestBodyInCheck: requestBody,
    headersToUpstreamOnAllow: listOf(text('A header.'), 'Headers of the answer that go to the service.'),
    headersToDownstreamOnDeny: listOf(text('A header.'), 'Headers of a denial that go to the client.'),
    headersToDownstreamOnAllow: listOf(text('A header.'), 'Headers of the answer that go to the client.'),
  },
  warn,
);
export type ExtAuthzHttpProvider = ValueOf<typeof extAuthzHttp>;

const extAuthzGrpc = message(
  'External authorization over gRPC.',
  {
    service,
    port,
    timeout: duration('Time for a check.'),
    failOpen: flag('Lets requests pass when the service fails.'),
    clearRouteCache: flag('Chooses the route anew after the check.'),
    statusOnError: text('HTTP status when the service fails.'),
    includeRequestBodyInCheck: requestBody,
  },
  warn,
);
export type ExtAuthzGrpcProvider = ValueOf<typeof extAuthzGrpc>;

const zipkin = message(
  'Zipkin.',
  {
    service,
    port,
    maxTagLength,
    enable64bitTraceId: flag('Uses 64-bit trace ids.'),
    path: text('Path of the collector.'),
    traceContextOption: choice(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION'], 'Headers that carry the context.'),
    timeout: duration('Time for a request.'),
    headers: listOf(header, 'Headers to send.'),
  },
  warn,
);

const openTelemetry = message(
  'OpenTelemetry traces.',
  {
    service,
    port,
    maxTagLength,
    http: httpService,
    grpc: message(
      'gRPC settings.',
      { timeout: duration('Time for a call.'), initialMetadata: listOf(header, 'Metadata to send.') },
      warn,
    ),
    resourceDetectors: message(
      'Sources of resource attributes.',
      {
        environment: message('The environment.', {}, warn),
        dynatrace: message('Dynatrace.', {}, warn),
      },
      warn,
    ),
    serviceAttributeEnrichment: choice(['ISTIO_CANONICAL', 'OTEL_SEMANTIC_CONVENTIONS'], 'How services are named.'),
    dynatraceSampler: message(
      'Sampling by Dynatrace.',
      {
        tenant: text('Tenant.'),
        clusterId: int32('Cluster id.'),
        rootSpansPerMinute: uint32('Root spans a minute.'),
        httpService: message('Its API.', { service, port, http: httpService }, warn),
      },
      warn,
    ),
  },
  warn,
);

const stackdriver = message(
  'Google Cloud.',
  {
    debug: flag('Writes traces to the log.', { deprecated: true }),
    maxNumberOfAttributes: int64('Most attributes of a span.', { deprecated: true }),
    maxNumberOfAnnotations: int64('Most annotations of a span.', { deprecated: true }),
    maxNumberOfMessageEvents: int64('Most events of a span.', { deprecated: true }),
    maxTagLength,
    logging: message('Access logs.', { labels: mapOf(text('A CEL expression.'), 'Labels of entries.') }, warn),
  },
  warn,
);

const logFormat = message('How an entry looks.', { text: text('As text.'), labels: struct('As JSON.') }, warn);
const filterState = listOf(text('A name.'), 'Filter state objects to log.');
const logName = text('Name of the log.');

export const extensionProvider = message(
  'A service that extends the proxies, by name.',
  {
    name: text('The name that other settings use.'),
    envoyExtAuthzHttp: extAuthzHttp,
    envoyExtAuthzGrpc: extAuthzGrpc,
    zipkin,
    lightstep: message('Lightstep.', { service, port, accessToken: text('Token.'), maxTagLength }, warn),
    datadog: message('Datadog.', { service, port, maxTagLength }, warn),
    stackdriver,
    opencensus: message(
      'OpenCensus; gone from Envoy.',
      {
        service,
        port,
        context: listOf(
          choice(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3'], 'A header format.'),
          'Header formats.',
        ),
        maxTagLength,
      },
      warn,
    ),
    skywalking: message('SkyWalking.', { service, port, accessToken: text('Token.') }, warn),
    opentelemetry: openTelemetry,
    prometheus: message('Prometheus metrics.', {}, warn),
    envoyFileAccessLog: message(
      'Access log to a file.',
      { path: text('The file.'), logFormat, omitEmptyValues: flag('Leaves out empty values.') },
      warn,
    ),
    envoyHttpAls: message(
      'Access log of HTTP over gRPC.',
      {
        service,
        port,
        logName,
        filterStateObjectsToLog: filterState,
        additionalRequestHeadersToLog: listOf(text('A header.'), 'Request headers to log.'),
        additionalResponseHeadersToLog: listOf(text('A header.'), 'Response headers to log.'),
        additionalResponseTrailersToLog: listOf(text('A trailer.'), 'Response trailers to log.'),
      },
      warn,
    ),
    envoyTcpAls: message(
      'Access log of TCP over gRPC.',
      { service, port, logName, filterStateObjectsToLog: filterState },
      warn,
    ),
    envoyOtelAls: message('Access log by OpenTelemetry.', { service, port, logName, logFormat }, warn),
    sds: message('Certificates over SDS.', { name: text('Prefix of credential names.'), service, port }, warn),
  },
  warn,
);
export type ExtensionProvider = ValueOf<typeof extensionProvider>;
