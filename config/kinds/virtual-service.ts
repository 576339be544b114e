// VirtualService: how requests to hosts are matched and routed (networking.istio.io).
import { ageColumn, meshStatus, networkingVersions, percent, portSelector, stringMatch } from './common.ts';
import {
  bytes,
  choice,
  duration,
  flag,
  int32,
  listOf,
  mapOf,
  message,
  required,
  text,
  uint32,
  type ValueOf,
} from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const nullable = { crd: { nullable: true } };

export const destination = message(
  'A service, or a part of one, that traffic is sent to.',
  {
    host: text('Host of the service; a short name is taken in the namespace of the VirtualService.'),
    subset: text('Subset that a DestinationRule of the host defines.'),
    port: portSelector,
  },
  { crd: { required: ['host'] } },
);
export type Destination = ValueOf<typeof destination>;

const headerOperations = message('Changes to headers.', {
  set: mapOf(text('New value.'), 'Headers to overwrite.'),
  add: mapOf(text('Value to append.'), 'Headers to add to.'),
  remove: listOf(text('Header name.'), 'Headers to remove.'),
});
export type HeaderOperations = ValueOf<typeof headerOperations>;

export const headers = message('Changes to the headers of requests and responses.', {
  request: headerOperations,
  response: headerOperations,
});
export type Headers = ValueOf<typeof headers>;

const sourceLabels = mapOf(text('Label value.'), 'Labels of the workload that the traffic comes from.');
const sourceNamespace = text('Namespace of the workload that the traffic comes from.');
const matchGateways = listOf(
  text('Gateway name, or `mesh`.'),
  'Gateways for which the match holds, over the top ones.',
);

export const httpMatch = message('Conditions on an HTTP request; all must hold.', {
  name: text('Name of the match, appended to the route name in statistics and logs.'),
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  headers: mapOf(stringMatch, 'Headers, in lower case; an empty match asks only for presence.'),
  port: uint32('Port that the client addressed.'),
  sourceLabels,
  gateways: matchGateways,
  queryParams: mapOf(stringMatch, 'Query parameters.'),
  ignoreUriCase: flag('Compares the path without regard to case; exact and prefix only.'),
  withoutHeaders: mapOf(stringMatch, 'Headers that must not match.'),
  sourceNamespace,
  statPrefix: text('Prefix of the statistics of this route.'),
});
export type HttpMatch = ValueOf<typeof httpMatch>;

export const httpRouteDestination = message(
  'A destination with its share of the requests.',
  {
    destination,
    weight: int32('Share relative to the sum of all weights.'),
    headers,
  },
  { crd: { required: ['destination'] } },
);
export type HttpRouteDestination = ValueOf<typeof httpRouteDestination>;

export const routeDestination = message(
  'A destination with its share of the connections.',
  {
    destination,
    weight: int32('Share relative to the sum of all weights.'),
  },
  { crd: { required: ['destination'] } },
);
export type RouteDestination = ValueOf<typeof routeDestination>;

const httpRedirect = message(
  'Answers with a redirect.',
  {
    uri: text('New path.'),
    authority: text('New host.'),
    port: uint32('New port.'),
    derivePort: choice(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'], 'How the port is found, instead of `port`.'),
    scheme: text('New scheme.'),
    redirectCode: uint32('HTTP status, 301 by default.'),
    prefixRewrite: text('Replaces the matched prefix of the path.'),
  },
  { oneofs: [['port', 'derivePort']] },
);
export type HttpRedirect = ValueOf<typeof httpRedirect>;

const httpDirectResponse = message(
  'Answers with a fixed response.',
  {
    status: uint32('HTTP status.'),
    body: message(
      'The body.',
      { string: text('As text.'), bytes: bytes('As bytes.') },
      { oneofs: [['string', 'bytes']] },
    ),
  },
  { crd: { required: ['status'] } },
);
export type HttpDirectResponse = ValueOf<typeof httpDirectResponse>;

const httpRewrite = message('Changes path and host before forwarding.', {
  uri: text('New path, or new prefix where a prefix matched.'),
  authority: text('New host.'),
  uriRegexRewrite: message('Changes the path by a regular expression.', {
    match: text('What to replace, in RE2 syntax.'),
    rewrite: text('The replacement, with `\\1` for groups.'),
  }),
});
export type HttpRewrite = ValueOf<typeof httpRewrite>;

export const httpRetry = message('When and how a failed request is tried again.', {
  attempts: int32('Number of retries; 0 turns them off.'),
  perTryTimeout: duration('Time that one attempt may take.'),
  retryOn: text('Conditions, in the words of Envoy, and statuses, separated by commas.'),
  retryRemoteLocalities: flag('Whether retries go to other localities.', nullable),
  retryIgnorePreviousHosts: flag('Whether retries may not go to hosts that were tried before.', nullable),
  backoff: duration('Shortest wait before a retry.'),
});
export type HttpRetry = ValueOf<typeof httpRetry>;

const faultInjection = message('Faults to inject.', {
  delay: message(
    'Delays requests.',
    {
      percent: int32('Share of requests, in whole percent.', { deprecated: true }),
      fixedDelay: duration('The delay.'),
      exponentialDelay: duration('Mean of an exponentially distributed delay; not implemented.'),
      percentage: percent,
    },
    { oneofs: [['fixedDelay', 'exponentialDelay']] },
  ),
  abort: message(
    'Answers requests with an error.',
    {
      httpStatus: int32('HTTP status.'),
      grpcStatus: text('gRPC status, by name or number.'),
      http2Error: text('HTTP/2 error; not implemented.'),
      percentage: percent,
    },
    { oneofs: [['httpStatus', 'grpcStatus', 'http2Error']] },
  ),
});
export type FaultInjection = ValueOf<typeof faultInjection>;

const corsPolicy = message('Cross-origin resource sharing.', {
  allowOrigin: listOf(text('An origin.'), 'Former form of allowOrigins.', { deprecated: true }),
  allowOrigins: listOf(stringMatch, 'Origins that may make requests.'),
  allowMethods: listOf(text('A method.'), 'Methods allowed.'),
  allowHeaders: listOf(text('A header.'), 'Request headers allowed.'),
  exposeHeaders: listOf(text('A header.'), 'Response headers that scripts may read.'),
  maxAge: duration('Time for which a preflight answer may be kept.'),
  allowCredentials: flag('Whether requests may carry credentials.', nullable),
  unmatchedPreflights: choice(['UNSPECIFIED', 'FORWARD', 'IGNORE'], 'What is done with preflights of other origins.'),
});
export type CorsPolicy = ValueOf<typeof corsPolicy>;

const mirrorPolicy = message(
  'A destination that gets copies of requests.',
  { destination, percentage: percent },
  { crd: { required: ['destination'] } },
);
export type MirrorPolicy = ValueOf<typeof mirrorPolicy>;

const delegate = message('Another VirtualService whose routes stand here.', {
  name: text('Its name.'),
  namespace: text('Its namespace; the own one by default.'),
});
export type Delegate = ValueOf<typeof delegate>;

export const httpRoute = message(
  'What is done with the HTTP requests that match.',
  {
    name: text('Name of the route, for statistics and logs.'),
    match: listOf(httpMatch, 'Conditions, of which one must hold; none match everything.'),
    route: listOf(httpRouteDestination, 'Destinations by weight.'),
    redirect: httpRedirect,
    directResponse: httpDirectResponse,
    delegate,
    rewrite: httpRewrite,
    timeout: duration('Time that a request may take; off by default.'),
    retries: httpRetry,
    fault: faultInjection,
    mirror: destination,
    mirrors: listOf(mirrorPolicy, 'Destinations that get copies of requests.'),
    mirrorPercent: uint32('Share of requests copied to `mirror`.', { deprecated: true, ...nullable }),
    mirrorPercentage: percent,
    corsPolicy,
    headers,
  },
  { crd: { aliases: { mirror_percent: 'mirrorPercent' } } },
);
export type HttpRoute = ValueOf<typeof httpRoute>;

const tlsMatch = message(
  'Conditions on a TLS connection; all must hold.',
  {
    sniHosts: listOf(text('A host, `*.` allowed.'), 'Server names that match.'),
    destinationSubnets: listOf(text('An address or CIDR.'), 'Destination addresses that match.'),
    port: uint32('Port that the client addressed.'),
    sourceLabels,
    gateways: matchGateways,
    sourceNamespace,
  },
  { crd: { required: ['sniHosts'] } },
);
export type TlsMatch = ValueOf<typeof tlsMatch>;

const l4Match = message('Conditions on a TCP connection; all must hold.', {
  destinationSubnets: listOf(text('An address or CIDR.'), 'Destination addresses that match.'),
  port: uint32('Port that the client addressed.'),
  sourceSubnet: text('Address or CIDR of the client; not implemented.'),
  sourceLabels,
  gateways: matchGateways,
  sourceNamespace,
});
export type L4Match = ValueOf<typeof l4Match>;

export const tlsRoute = message(
  'Where TLS connections that match go, unopened.',
  {
    match: listOf(tlsMatch, 'Conditions, of which one must hold.'),
    route: listOf(routeDestination, 'Destinations by weight.'),
  },
  { crd: { required: ['match'] } },
);
export type TlsRoute = ValueOf<typeof tlsRoute>;

export const tcpRoute = message('Where TCP connections that match go.', {
  match: listOf(l4Match, 'Conditions, of which one must hold; none match everything.'),
  route: listOf(routeDestination, 'Destinations by weight.'),
});
export type TcpRoute = ValueOf<typeof tcpRoute>;

const spec = message('What is wanted.', {
  hosts: listOf(text('A host name, `*` or `*.suffix` allowed, or an address.'), 'Hosts that the routes are for.'),
  gateways: listOf(text('`namespace/name`, a name, or `mesh`.'), 'Gateways that apply it; `mesh` by default.'),
  http: listOf(httpRoute, 'Routes of HTTP; the first that matches counts.'),
  tls: listOf(tlsRoute, 'Routes of TLS that is passed through.'),
  tcp: listOf(tcpRoute, 'Routes of all other traffic.'),
  exportTo: listOf(text('A namespace, `.`, or `*`.'), 'Namespaces that see it; all by default.'),
});
export type VirtualServiceSpec = ValueOf<typeof spec>;

export const virtualService = defineKind({
  kind: 'VirtualService',
  group: 'networking.istio.io',
  plural: 'virtualservices',
  singular: 'virtualservice',
  shortNames: ['vs'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    {
      name: 'Gateways',
      type: 'string',
      jsonPath: '.spec.gateways',
      description: 'Gateways and sidecars that apply the routes.',
    },
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'Hosts that traffic is sent to.' },
    ageColumn,
  ],
  description: 'Routes requests for hosts to services, by path, header, weight and more.',
  body: message('A VirtualService.', { spec: required(spec), status: meshStatus }, { crd: { notRequired: ['spec'] } }),
});
export type VirtualService = ObjectOfDef<typeof virtualService>;
