// MeshConfig: settings of the whole mesh, in ConfigMap `istio` under the key `mesh` (mesh/v1alpha1).
import {
  clientTlsSettings,
  connectionPoolSettings,
  labelSelector,
  localityLbSetting,
  outlierDetection,
  tcpKeepalive,
  zoneAwareLbSetting,
} from './common.ts';
import { extensionProvider } from './extension-provider.ts';
import { choice, duration, flag, int32, listOf, mapOf, message, text, uint32, type ValueOf } from './field.ts';
import { proxySettings } from './proxy-settings.ts';
import { httpRetry } from './virtual-service.ts';

const warn = { unknownFields: 'warn' } as const;
const exportTo = listOf(text('A namespace, `.` or `*`.'), 'Namespaces that see objects without exportTo.');

const tlsConfig = message(
  'Limits of TLS.',
  {
    minProtocolVersion: choice(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3'], 'Lowest version.'),
    ecdhCurves: listOf(text('A curve.'), 'Curves.'),
    cipherSuites: listOf(text('A suite.'), 'Cipher suites up to TLS 1.2.'),
  },
  warn,
);

const certificateData = message(
  'Roots that peers are verified with.',
  {
    pem: text('PEM certificates.'),
    spiffeBundleUrl: text('URL of a SPIFFE bundle.'),
    certSigners: listOf(text('A signer.'), 'Kubernetes signers whose certificates they verify.'),
    trustDomains: listOf(text('A trust domain.'), 'Trust domains that they verify.'),
  },
  warn,
);
export type CertificateData = ValueOf<typeof certificateData>;

const serviceSettings = message(
  'Settings of services by host.',
  {
    settings: message('The settings.', { clusterLocal: flag('Traffic stays in the own cluster.') }, warn),
    hosts: listOf(text('A host, `*.` allowed.'), 'Hosts that they are for.'),
  },
  warn,
);
export type ServiceSettings = ValueOf<typeof serviceSettings>;

const serviceScope = message(
  'Whether services are seen from other clusters; ambient mode.',
  {
    namespaceSelector: labelSelector,
    servicesSelector: labelSelector,
    scope: choice(['LOCAL', 'GLOBAL'], 'From where they are seen.'),
  },
  warn,
);

const visibility = choice(['VISIBILITY_UNSPECIFIED', 'NONE', 'NAMESPACE', 'PUBLIC'], 'Who may see.');

const serviceEntryVisibility = message(
  'Who may see ServiceEntries, over exportTo.',
  {
    defaultVisibility: visibility,
    applyToSidecars: flag('Whether it holds for sidecars too.'),
    policies: listOf(
      message(
        'An exception.',
        {
          visibility,
          matchingRules: listOf(
            message('A condition.', { namespaceSelector: labelSelector }, warn),
            'Conditions, of which one must hold.',
          ),
        },
        warn,
      ),
      'Exceptions; the first that matches counts.',
    ),
  },
  warn,
);

export const meshConfig = message(
  'Settings of the whole mesh.',
  {
    proxyListenPort: int32('Port of captured outbound traffic.'),
    proxyInboundListenPort: int32('Port of captured inbound traffic.'),
    proxyHttpPort: int32('Port of an explicit HTTP proxy; 0 is none.'),
    connectTimeout: duration('Time that a connection may take to open.'),
    hboneIdleTimeout: duration('Idle time of HBONE connections.'),
    protocolDetectionTimeout: duration('Time for finding out the protocol; 0s is without limit.'),
    tcpKeepalive,
    ingressClass: text('Class of the Ingress objects to serve.'),
    ingressService: text('Service of the ingress gateway.'),
    ingressControllerMode: choice(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT'], 'Which Ingress objects are served.'),
    ingressSelector: text('Label `istio` of the ingress gateway.'),
    enableTracing: flag('Whether proxies trace.'),
    accessLogFile: text('File of the access log; empty is none.'),
    accessLogFormat: text('Format of the access log.'),
    accessLogEncoding: choice(['TEXT', 'JSON'], 'Text or JSON.'),
    enableEnvoyAccessLogService: flag('Sends the access log over gRPC.'),
    disableEnvoyListenerLog: flag('Turns off the access log of listeners.'),
    defaultConfig: proxySettings,
    outboundTrafficPolicy: message(
      'What is done with traffic to unknown hosts.',
      {
        mode: choice(['REGISTRY_ONLY', 'ALLOW_ANY', '', 'ALLOW_ANY_DYNAMIC_DNS'], 'The mode.'),
        tls: clientTlsSettings,
      },
      warn,
    ),
    inboundTrafficPolicy: message(
      'Where inbound traffic to ports without a service goes.',
      { mode: choice(['PASSTHROUGH', 'LOCALHOST'], 'To the original address, or to localhost.') },
      warn,
    ),
    configSources: listOf(
      message(
        'A source of configuration.',
        {
          address: text('`fs:///path`, `xds://host:port` or `k8s://`.'),
          tlsSettings: clientTlsSettings,
          subscribedResources: listOf(choice(['SERVICE_REGISTRY'], 'A resource.'), 'What is taken from it.'),
        },
        warn,
      ),
      'Sources of configuration instead of the API server.',
    ),
    enableAutoMtls: flag('Uses mutual TLS wherever the other side can.'),
    trustDomain: text('Trust domain of identities.'),
    trustDomainAliases: listOf(text('A trust domain.'), 'Trust domains that count as the own.'),
    caCertificates: listOf(certificateData, 'Further roots.'),
    defaultServiceExportTo: exportTo,
    defaultVirtualServiceExportTo: exportTo,
    defaultDestinationRuleExportTo: exportTo,
    rootNamespace: text('Namespace whose policies hold for the whole mesh.'),
    localityLbSetting,
    zoneAwareLbSetting,
    dnsRefreshRate: duration('How often DNS names are resolved.'),
    h2UpgradePolicy: choice(['DO_NOT_UPGRADE', 'UPGRADE'], 'Whether HTTP/1.1 requests are sent as HTTP/2.'),
    inboundClusterStatName: text('Pattern of names of inbound clusters in statistics.'),
    outboundClusterStatName: text('Pattern of names of outbound clusters in statistics.'),
    certificates: listOf(
      message('Not used.', { secretName: text('Not used.'), dnsNames: listOf(text('Not used.'), 'Not used.') }, warn),
      'Not used.',
      { deprecated: true },
    ),
    serviceSettings: listOf(serviceSettings, 'Settings of services by host.'),
    serviceScopeConfigs: listOf(serviceScope, 'Which services are seen from other clusters.'),
    enablePrometheusMerge: flag('Whether the agent merges the metrics of application and proxy.'),
    verifyCertificateAtClient: flag('Verifies server certificates by the public roots; now the default.', {
      deprecated: true,
    }),
    ca: message(
      'An external certificate authority.',
      {
        address: text('Its address.'),
        tlsSettings: clientTlsSettings,
        requestTimeout: duration('Time for a request.'),
        istiodSide: flag('Whether the control plane calls it, rather than the agents.'),
      },
      warn,
    ),
    extensionProviders: listOf(extensionProvider, 'Services that extend the proxies.'),
    defaultProviders: message(
      'Providers used where Telemetry names none.',
      {
        tracing: listOf(text('A provider.'), 'Of traces.'),
        metrics: listOf(text('A provider.'), 'Of metrics.'),
        accessLogging: listOf(text('A provider.'), 'Of access logs.'),
      },
      warn,
    ),
    discoverySelectors: listOf(labelSelector, 'Namespaces that are read at all.'),
    pathNormalization: message(
      'How paths are normalised.',
      {
        normalization: choice(
          ['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'],
          'How far it goes.',
        ),
      },
      warn,
    ),
    defaultHttpRetryPolicy: httpRetry,
    defaultInboundHttpRetryPolicy: httpRetry,
    meshMTLS: tlsConfig,
    tlsDefaults: tlsConfig,
    defaultTrafficPolicy: message(
      'Limits of services without a DestinationRule.',
      { connectionPool: connectionPoolSettings, outlierDetection },
      warn,
    ),
    serviceEntryVisibility,
  },
  warn,
);
/** MeshConfig as it is written: nothing is set unless it stands there. */
export type MeshConfigInput = ValueOf<typeof meshConfig>;

const networkGateway = message(
  'A gateway into the network.',
  {
    registryServiceName: text('Host of the Service of the gateway, in the cluster that `fromRegistry` names.'),
    address: text('Address of the gateway.'),
    port: uint32('Port of the gateway, 15443 by default; of a Service its own, also where nodes have another.'),
    locality: text('Locality of the gateway.'),
  },
  warn,
);

export const meshNetworks = message(
  'Networks between which there is no direct route; key `meshNetworks`.',
  {
    networks: mapOf(
      message(
        'A network.',
        {
          endpoints: listOf(
            message(
              'What belongs to it.',
              { fromCidr: text('Addresses.'), fromRegistry: text('All endpoints of a cluster.') },
              warn,
            ),
            'What belongs to it.',
          ),
          gateways: listOf(networkGateway, 'Gateways into it.'),
        },
        warn,
      ),
      'Networks by name.',
    ),
  },
  warn,
);
export type MeshNetworks = ValueOf<typeof meshNetworks>;
