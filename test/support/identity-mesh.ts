// A control plane with identity on loopback, and plain Envoys whose listeners are fixed but whose certificates are ours.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaStore } from '../../certs/ca-record.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { issueToken } from '../../certs/token-issuer.ts';
import { authenticateStreams } from '../../cmd/caller.ts';
import { openIdentity, type Signing, type WorkloadIdentity } from '../../cmd/identity.ts';
import { ownSecrets } from '../../cmd/own-secrets.ts';
import { driveRotation } from '../../cmd/rotation.ts';
import { readSettings } from '../../cmd/settings.ts';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { proxies } from '../../discovery/proxy/classify.ts';
import { createXdsServer, type XdsServer } from '../../discovery/xds/server.ts';
import { accepted } from './certificate-server.ts';
import { type Json, startEnvoy, type TestEnvoy } from './envoy.ts';
import { freePort } from './ports.ts';
import { type FakeResources, fakeClassOf, fakeGraph, fakeTranslators, writeFake } from './xds/fake-mesh.ts';

export interface IdentityMesh extends AsyncDisposable {
  readonly identity: WorkloadIdentity;
  readonly signing: Signing;
  readonly store: CaStore;
  readonly xds: XdsServer;
  readonly log: string[];
  readonly caDir: string;
  /** `host:port` of the TLS port and of the plaintext one. */
  readonly secureAddress: string;
  readonly plainAddress: string;
  /** A workload's token. */
  token(namespace: string, serviceAccount: string): string;
  /** Adds resources that proxies of the namespace may find by name, as texts. */
  publish(namespace: string, resources: FakeResources): Promise<void>;
  /** A stock Envoy of that service account in namespace `default`, with further static resources. */
  startEnvoy(
    serviceAccount: string,
    resources: StaticResources,
    options?: { readonly plaintext?: boolean },
  ): Promise<TestEnvoy>;
}

export interface StaticResources {
  readonly listeners: readonly Json[];
  readonly clusters: readonly Json[];
}

/**
 * Starts the control plane; its agentless certificates last `certificateLife`, such as `4s`. `rootCaDir` holds an
 * operator's own CA.
 */
export async function startIdentityMesh(certificateLife: string, rootCaDir?: string): Promise<IdentityMesh> {
  const folder = await mkdtemp(join(tmpdir(), 'identity-'));
  const caDir = join(folder, 'ca');
  const { settings } = readSettings({ configDir: folder, stateDir: folder, state: folder }, [], {
    AGENTLESS_CERT_TTL: certificateLife,
    ROOT_CA_DIR: rootCaDir ?? join(folder, 'none'),
  });
  const log: string[] = [];
  const identity = await openIdentity({
    settings: { ...settings, stateDir: folder },
    trustDomains: () => ['cluster.local'],
    discoveryAddress: () => 'istiod.istio-system.svc:15012',
    count: () => undefined,
    log: (level, message, fields) => log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    env: systemEnvironment,
  });
  const { store, ledger, tls, signing } = identity;
  if (tls === undefined || signing === undefined) throw new Error('identity signs nothing');
  const { authority, secrets, certificateService } = signing;
  const xds = createXdsServer({
    graph: fakeGraph(),
    translators: fakeTranslators(),
    proxies,
    classOf: fakeClassOf,
    authenticate: authenticateStreams(settings, identity.authenticate),
    openOwnResources: ownSecrets(secrets, (proxy, reason) => log.push(`${proxy} ${reason}`)),
  });
  const secure = await xds.listen({ address: 'localhost:0', tls, services: [certificateService] });
  const plain = await xds.listen({ address: '127.0.0.1:0' });
  const rotation = driveRotation({
    ...{ authority, store, secrets, ledger, caDir, interval: 50, minimumStep: 200 },
    streams: () => xds.publisher.streams,
    log: (level, message, fields) => log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    env: systemEnvironment,
  });
  const envoys: TestEnvoy[] = [];
  const token = (namespace: string, serviceAccount: string): string => {
    const request = { namespace, serviceAccount, audience: 'istio-ca', lifetimeSeconds: 3600 };
    if (identity.tokenKey === undefined) {
      throw new Error('no token key');
    }
    return accepted(issueToken(identity.tokenKey, request, systemEnvironment));
  };
  let serial = 0;
  return {
    ...{ identity, signing, store, xds, log, caDir, token },
    secureAddress: `localhost:${secure.port}`,
    plainAddress: `127.0.0.1:${plain.port}`,
    publish: (namespace, resources) => xds.publisher.apply((graph) => writeFake(graph, namespace, {}, resources)),
    startEnvoy: async (serviceAccount, resources, options = {}) => {
      const tokenFile = join(folder, `token-${serial}`);
      await writeFile(tokenFile, token('default', serviceAccount));
      const clusterFile = join(folder, `clusters-${serial}.json`);
      const type = { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster' };
      const clusters = resources.clusters.map((cluster) => ({ ...type, ...cluster }));
      await writeFile(clusterFile, JSON.stringify({ resources: clusters }));
      const envoy = await startEnvoy({
        name: `envoy of ${serviceAccount}`,
        bootstrap: bootstrapOf(serviceAccount, serial++, resources, clusterFile, {
          address: `127.0.0.1:${options.plaintext === true ? plain.port : secure.port}`,
          ...(options.plaintext === true
            ? {}
            : { tls: { caFile: join(folder, 'root-cert.pem'), tokenFile, serverName: 'istiod.istio-system.svc' } }),
        }),
      });
      envoys.push(envoy);
      return envoy;
    },
    [Symbol.asyncDispose]: async () => {
      await rotation[Symbol.asyncDispose]();
      await Promise.all(envoys.map((envoy) => envoy.stop()));
      await xds.close(0);
      await identity[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A listener that demands a client certificate of `client` and answers with what it saw of it. */
export async function mtlsListener(client: string): Promise<{ readonly port: number; readonly listener: Json }> {
  const port = await freePort();
  const transport = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
    require_client_certificate: true,
    disable_stateless_session_resumption: true,
    common_tls_context: tlsContext(client),
  };
  const seen = [{ header: { key: 'x-seen', value: '%REQ(x-forwarded-client-cert)%' } }];
  const route = { match: { prefix: '/' }, direct_response: { status: 200 }, response_headers_to_add: seen };
  return { port, listener: httpListener(port, route, transport) };
}

/** A plaintext listener that sends to `target` with mutual TLS, verifies its name, and opens many connections. */
export async function mtlsClient(target: number, server: string): Promise<StaticResources & { readonly port: number }> {
  const port = await freePort();
  const protocol = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const cluster = {
    name: 'server',
    type: 'STATIC',
    load_assignment: {
      cluster_name: 'server',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(target) } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': protocol,
        common_http_protocol_options: { max_requests_per_connection: 3 },
        explicit_http_config: { http_protocol_options: {} },
      },
    },
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        sni: 'server',
        max_session_keys: 0,
        common_tls_context: tlsContext(server),
      },
    },
  };
  const route = { match: { prefix: '/' }, route: { cluster: 'server' } };
  return { port, listeners: [httpListener(port, route)], clusters: [cluster] };
}

function tlsContext(peer: string): Json {
  const sds = { ads: {}, resource_api_version: 'V3' };
  const matcher = { san_type: 'URI', matcher: { exact: peer } };
  return {
    tls_certificate_sds_secret_configs: [{ name: 'default', sds_config: sds }],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [matcher] },
      validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: sds },
    },
  };
}

function httpListener(port: number, route: Json, transport?: Json): Json {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    forward_client_cert_details: transport === undefined ? 'SANITIZE' : 'SANITIZE_SET',
    set_current_client_cert_details: { uri: true },
    route_config: { validate_clusters: false, virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  const chain = { filters: [{ name: 'http', typed_config: manager }] };
  const socket = transport === undefined ? {} : { transport_socket: { name: 'tls', typed_config: transport } };
  return { name: `in-${port}`, address: address(port), filter_chains: [{ ...chain, ...socket }] };
}

function bootstrapOf(
  serviceAccount: string,
  serial: number,
  resources: StaticResources,
  clusterFile: string,
  discovery: Parameters<typeof buildBootstrap>[0]['discovery'],
): Json {
  const built = buildBootstrap({
    nodeType: 'sidecar',
    address: '127.0.0.1',
    podName: `${serviceAccount}-${serial}`,
    namespace: 'default',
    serviceAccount,
    labels: {},
    discovery,
    admin: { address: '127.0.0.1', port: 0 },
  });
  const fixed = built['static_resources'] as {
    readonly listeners: readonly Json[];
    readonly clusters: readonly Json[];
  };
  return {
    ...built,
    // Envoy crashes on a static cluster with a secret by ADS: it is made before there is a stream to ask on.
    dynamic_resources: {
      ...(built['dynamic_resources'] as Json),
      cds_config: { path_config_source: { path: clusterFile } },
    },
    static_resources: { ...fixed, listeners: [...fixed.listeners, ...resources.listeners] },
  };
}

function address(port: number): Json {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
