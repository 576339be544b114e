// ProxyConfig as MeshConfig's `defaultConfig` and the annotation `proxy.istio.io/config` hold it (mesh/v1alpha1).
import { clientTlsSettings, proxyImage, readinessProbe, tcpKeepalive } from './common.ts';
import {
  choice,
  decimal,
  duration,
  flag,
  int32,
  int64,
  listOf,
  mapOf,
  message,
  text,
  uint32,
  type ValueOf,
} from './field.ts';

const warn = { unknownFields: 'warn' } as const;

const forwardClientCertDetails = choice(
  ['UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'],
  'What is done with the header x-forwarded-client-cert.',
);

export const tracing = message(
  'Tracing by the proxy.',
  {
    zipkin: message('Zipkin.', { address: text('`host:port` of the collector.') }, warn),
    lightstep: message('Lightstep.', { address: text('`host:port`.'), accessToken: text('Token.') }, warn),
    datadog: message('Datadog.', { address: text('`host:port` of the agent.') }, warn),
    stackdriver: message(
      'Google Cloud.',
      {
        debug: flag('Writes traces to the log.'),
        maxNumberOfAttributes: int64('Most attributes of a span.'),
        maxNumberOfAnnotations: int64('Most annotations of a span.'),
        maxNumberOfMessageEvents: int64('Most events of a span.'),
      },
      warn,
    ),
    openCensusAgent: message(
      'OpenCensus; gone from Envoy.',
      {
        address: text('Address of the agent.'),
        context: listOf(
          choice(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3'], 'A header format.'),
          'Header formats.',
        ),
      },
      warn,
    ),
    customTags: mapOf(
      message(
        'Where the value of a tag comes from.',
        {
          literal: message('A fixed value.', { value: text('The value.') }, warn),
          environment: message(
            'An environment variable of the proxy.',
            { name: text('Its name.'), defaultValue: text('Value where it is absent.') },
            warn,
          ),
          header: message(
            'A request header.',
            { name: text('Its name.'), defaultValue: text('Value where it is absent.') },
            warn,
          ),
        },
        warn,
      ),
      'Tags added to spans.',
    ),
    maxPathTagLength: uint32('Length at which the path in a span is cut.'),
    sampling: decimal('Share of requests that are traced, 0.0 to 100.0.'),
    tlsSettings: clientTlsSettings,
    enableIstioTags: flag("Whether spans carry Istio's tags."),
  },
  warn,
);
export type Tracing = ValueOf<typeof tracing>;

const remoteService = message(
  'A gRPC service that the proxy reports to.',
  { address: text('`host:port`.'), tlsSettings: clientTlsSettings, tcpKeepalive },
  warn,
);

const switchedOff = message('Whether it is left out.', { disabled: flag('Leaves it out.') }, warn);
const switchedOn = message('Whether it is added.', { enabled: flag('Adds it.') }, warn);
const pollDelay = message(
  'Acceleration of private keys.',
  { pollDelay: duration('How long requests are gathered.'), fallback: flag('Use plain BoringSSL where unavailable.') },
  warn,
);

const proxyHeaders = message(
  'Headers that the proxy adds.',
  {
    forwardedClientCert: forwardClientCertDetails,
    setCurrentClientCertDetails: message(
      'What x-forwarded-client-cert says of the current client.',
      {
        subject: flag('Its subject.'),
        cert: flag('Its certificate.'),
        chain: flag('Its chain.'),
        dns: flag('Its DNS names.'),
        uri: flag('Its URIs.'),
      },
      warn,
    ),
    requestId: switchedOff,
    server: message('The header `server`.', { disabled: flag('Leaves it as it is.'), value: text('Its value.') }, warn),
    attemptCount: switchedOff,
    envoyDebugHeaders: switchedOff,
    metadataExchangeHeaders: message(
      'Headers by which peers learn about each other.',
      { mode: choice(['UNDEFINED', 'IN_MESH'], 'Where they are sent.') },
      warn,
    ),
    preserveHttp1HeaderCase: flag('Keeps upper and lower case of HTTP/1 headers.'),
    xForwardedHost: switchedOn,
    xForwardedPort: switchedOn,
  },
  warn,
);

const connectionSettings = message(
  'Limits and timeouts of connections that come in.',
  {
    profile: choice(['SIDECAR', 'EDGE'], 'Set of defaults.'),
    listenerPerConnectionBufferLimitBytes: int32('Buffer of a connection that comes in.'),
    clusterPerConnectionBufferLimitBytes: int32('Buffer of a connection that goes out.'),
    httpIdleTimeout: duration('Idle time of an HTTP connection.'),
    httpMaxConnectionDuration: duration('Age of an HTTP connection.'),
    httpDrainTimeout: duration('Time for draining an HTTP connection.'),
    httpRequestTimeout: duration('Time for receiving a whole request.'),
    httpRequestHeadersTimeout: duration('Time for receiving headers.'),
    httpStreamIdleTimeout: duration('Idle time of a stream.'),
    httpMaxStreamDuration: duration('Age of a stream.'),
    httpMaxConcurrentStreams: int32('Most streams of a connection.'),
    http2InitialStreamWindowSize: int32('First window of an HTTP/2 stream.'),
    http2InitialConnectionWindowSize: int32('First window of an HTTP/2 connection.'),
    httpHeadersWithUnderscoresAction: choice(
      [
        'HEADERS_WITH_UNDERSCORES_UNSPECIFIED',
        'HEADERS_WITH_UNDERSCORES_ALLOW',
        'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST',
        'HEADERS_WITH_UNDERSCORES_DROP_HEADER',
      ],
      'What is done with headers whose names have underscores.',
    ),
    httpMergeSlashes: flag('Merges adjacent slashes of paths.'),
    httpPathWithEscapedSlashesAction: choice(
      [
        'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED',
        'KEEP_UNCHANGED',
        'REJECT_REQUEST',
        'UNESCAPE_AND_REDIRECT',
        'UNESCAPE_AND_FORWARD',
      ],
      'What is done with escaped slashes in paths.',
    ),
    listenerConnectionLimit: int32('Most connections of a listener.'),
    globalDownstreamConnectionLimit: int32('Most connections of the proxy.'),
  },
  warn,
);

/** `mergePatch` semantics apply between layers: mesh, ProxyConfig objects, annotation. */
export const proxySettings = message(
  'Settings of one proxy.',
  {
    configPath: text('Folder of generated files.'),
    binaryPath: text('The Envoy binary.'),
    serviceCluster: text('Name under which the proxy reports traces.'),
    tracingServiceName: choice(
      ['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'],
      'How that name is found, instead of serviceCluster.',
    ),
    drainDuration: duration('Time for draining connections at a hot restart.'),
    discoveryAddress: text('`host:port` of the control plane.'),
    discoveryRefreshDelay: duration('Not used.', { deprecated: true }),
    zipkinAddress: text('Former form of tracing.zipkin.', { deprecated: true }),
    statsdUdpAddress: text('`host:port` of a statsd sink.'),
    envoyMetricsServiceAddress: text('Former form of envoyMetricsService.', { deprecated: true }),
    proxyAdminPort: int32("Port of Envoy's admin interface."),
    availabilityZone: text('Not used.', { deprecated: true }),
    controlPlaneAuthPolicy: choice(['NONE', 'MUTUAL_TLS'], 'How the proxy authenticates with the control plane.'),
    customConfigFile: text('File with a whole Envoy bootstrap.'),
    statNameLength: int32('Longest name of a statistic.'),
    concurrency: int32('Number of worker threads; 0 is one a core.'),
    proxyBootstrapTemplatePath: text('Template of the bootstrap.'),
    interceptionMode: choice(['REDIRECT', 'TPROXY', 'NONE'], 'How inbound traffic reaches the proxy.'),
    tracing,
    sds: message('Not used.', { enabled: flag('Not used.'), k8sSaJwtPath: text('Not used.') }, warn),
    envoyAccessLogService: remoteService,
    envoyMetricsService: remoteService,
    proxyMetadata: mapOf(text('Value.'), 'Environment variables of the agent; those with ISTIO_META_ go to the node.'),
    runtimeValues: mapOf(text('Value.'), "Envoy's runtime values."),
    statusPort: int32('Port of the agent for probes.'),
    extraStatTags: listOf(text('A tag.'), 'Tags extracted from names of statistics.'),
    gatewayTopology: message(
      'What stands before a gateway.',
      {
        numTrustedProxies: uint32('Number of proxies whose x-forwarded-for is trusted.'),
        forwardClientCertDetails,
        proxyProtocol: message('Expects PROXY protocol.', {}, warn),
      },
      warn,
    ),
    terminationDrainDuration: duration('Time for draining when the proxy ends.'),
    meshId: text('Name of the mesh.'),
    readinessProbe,
    proxyStatsMatcher: message(
      'Statistics to keep beyond the default.',
      {
        inclusionPrefixes: listOf(text('A prefix.'), 'By prefix.'),
        inclusionSuffixes: listOf(text('A suffix.'), 'By suffix.'),
        inclusionRegexps: listOf(text('An RE2 expression.'), 'By regular expression.'),
      },
      warn,
    ),
    holdApplicationUntilProxyStarts: flag('Starts the application only once the proxy is ready.'),
    caCertificatesPem: listOf(text('A PEM certificate.'), 'Further roots for verifying peers.'),
    image: proxyImage,
    privateKeyProvider: message('Hardware for private keys.', { cryptomb: pollDelay, qat: pollDelay }, warn),
    proxyHeaders,
    fileFlushInterval: duration('How often logs are flushed.'),
    fileFlushMinSizeKb: uint32('Size at which logs are flushed.'),
    statsCompression: flag('Whether statistics are compressed when scraped.'),
    connectionSettings,
  },
  warn,
);
export type ProxySettings = ValueOf<typeof proxySettings>;
