// Every environment variable by itself: a value that is taken, what it becomes, and the message about one that is not.
import { describe, expect, test } from 'vitest';
import { readSettings } from './settings.ts';
import { features, type Setting, settingsTable } from './settings-table.ts';

/** A variable, a value, what the setting then is, and a value that ends the start where there is one. */
type Row = readonly [variable: string, text: string, value: unknown, bad?: string];

const rows: readonly Row[] = [
  ['SHARED_MESH_CONFIG', 'istio-user', 'istio-user', 'Istio_User'],
  ['CLUSTER_ID', 'east', 'east'],
  ['POD_NAMESPACE', 'mesh', 'mesh', 'my mesh'],
  ['REVISION', '1-30', '1-30', '1.30'],
  ['POD_NAME', 'istiod-1', 'istiod-1'],
  ['GRPC_KEEPALIVE_INTERVAL', '1m', 60_000, '60'],
  ['GRPC_KEEPALIVE_TIMEOUT', '1500ms', 1_500, '-1s'],
  ['ISTIO_GPRC_MAXRECVMSGSIZE', '4194304', 4_194_304, '4Mi'],
  ['ISTIO_GPRC_MAXSTREAMS', '10', 10, '0'],
  ['PILOT_MAX_REQUESTS_PER_SECOND', '2.5', 2.5, '-1'],
  ['K_REVISION', 'istiod-00001', 'istiod-00001'],
  ['PILOT_CERT_PROVIDER', 'none', 'none', 'kubernetes'],
  ['ISTIOD_CUSTOM_HOST', 'a.example.com, b', ['a.example.com', 'b']],
  ['ENABLE_CA_SERVER', 'false', false, 'no'],
  ['EXTERNAL_CA', '', '', 'ISTIOD_RA_KUBERNETES_API'],
  ['ROOT_CA_DIR', '/etc/ca', '/etc/ca'],
  ['PILOT_ENABLE_CA_CRL', 'false', false, 'off'],
  ['USE_CACERTS_FOR_SELF_SIGNED_CA', 'true', true, 'yes'],
  ['CITADEL_SELF_SIGNED_CA_CERT_TTL', '8760h', 8_760 * 3_600_000, '1y'],
  ['CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL', '-1s', -1_000, 'never'],
  ['CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE', '50', 50, '100'],
  ['CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE', '4096', '4096', '512'],
  ['PILOT_CA_CERT_CONFIGMAP', 'mesh-root', 'mesh-root', 'mesh/root'],
  ['PILOT_CRL_CONFIGMAP', 'mesh-crl', 'mesh-crl', 'Mesh'],
  ['DEFAULT_WORKLOAD_CERT_TTL', '1h', 3_600_000, '1'],
  ['MAX_WORKLOAD_CERT_TTL', '48h', 172_800_000, 'long'],
  ['AGENTLESS_CERT_TTL', '30m', 1_800_000, '30 minutes'],
  ['ROOT_ROTATION_STEP', '10m', 600_000, 'x'],
  ['LEASE_DURATION', '15s', 15_000, '15'],
  ['TOKEN_AUDIENCES', 'a,b', ['a', 'b']],
  ['TOKEN_ISSUER', 'https://issuer.example.com', 'https://issuer.example.com'],
  ['KUBERNETES_SERVICE_HOST', '10.0.0.1', '10.0.0.1'],
  ['AUDIENCE', 'istio-ca', 'istio-ca'],
  ['JWT_RULE', '{"issuer":"a"}', '{"issuer":"a"}'],
  [
    'CA_TRUSTED_NODE_ACCOUNTS',
    'istio-system/ztunnel, kube-system/ztunnel',
    'istio-system/ztunnel, kube-system/ztunnel',
    'ztunnel',
  ],
  ['TRUSTED_GATEWAY_CIDR', '10.0.0.0/8', '10.0.0.0/8'],
  ['XDS_AUTH', '0', false, '2'],
  ['PILOT_ENABLE_XDS_IDENTITY_CHECK', 'F', false, 'none'],
  ['ENABLE_LEADER_ELECTION', 'False', false, 'never'],
  ['PILOT_ENABLE_IP_AUTOALLOCATE', 'false', false, 'auto'],
  ['ENABLE_DEBUG_ON_HTTP', 'f', false, '-'],
  ['ENABLE_DEBUG_ENDPOINT_AUTH', 'FALSE', false, 'maybe'],
  ['DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES', 'a, b,', ['a', 'b'], 'a b'],
  ['INJECTION_WEBHOOK_CONFIG_NAME', '', ''],
  ['VALIDATION_WEBHOOK_CONFIG_NAME', 'istio-validator', 'istio-validator'],
  ['ENABLE_NATIVE_SIDECARS', 'true', 'true', 'maybe'],
  ['COMPLIANCE_POLICY', 'fips-140-2', 'fips-140-2'],
  ['PLATFORM', 'openshift', 'openshift'],
];

/** The same of behaviour switches, which are kept as texts. */
const switches: readonly Row[] = [
  ['ISTIO_DUAL_STACK', 'TRUE', 'true', 'both'],
  ['ENABLE_100_CONTINUE_HEADERS', '0', 'false', '100'],
  ['ENABLE_EXTERNAL_NAME_ALIAS', 'f', 'false', 'x'],
  ['ENABLE_TLS_ON_SIDECAR_INGRESS', '1', 'true', 'on'],
  ['MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP', '0', '0', '-1'],
  ['PERSIST_OLDEST_FIRST_HEURISTIC_FOR_VIRTUAL_SERVICE_HOST_MATCHING', 't', 'true', 'oldest'],
  ['PILOT_DNS_CARES_UDP_MAX_QUERIES', ' 7 ', '7', '1.5'],
  ['PILOT_DNS_JITTER_DURATION', '1s', '1s', '1'],
  ['PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER', 'true', 'true', 'headless'],
  ['PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT', '0s', '0s', 'none'],
  ['PILOT_HTTP10', '1', 'true', '1.0'],
  ['PILOT_SCOPE_GATEWAY_TO_NAMESPACE', 'true', 'true', 'ns'],
  ['K8S_INGRESS_NS', 'edge', 'edge', 'edge/gateways'],
  ['PILOT_TRACE_SAMPLING', '0.5', '0.5', '101'],
];

const settingsOf = (env: Readonly<Record<string, string>>) => readSettings({}, [], env).settings;
const table: readonly (readonly [string, Setting<unknown>])[] = Object.entries(settingsTable);

test('every variable has a row', () => {
  const variables = table.flatMap(([, { env }]) => env ?? []);
  expect(rows.map(([variable]) => variable).sort()).toEqual(variables.sort());
  expect(switches.map(([variable]) => variable).sort()).toEqual(Object.keys(features).sort());
});

const good = (all: readonly Row[]) => all.map(([variable, text, value]) => [variable, text, value] as const);
const bad = (all: readonly Row[]) =>
  all.flatMap(([variable, , , text]) => (text === undefined ? [] : [[variable, text] as const]));
const refusal = (variable: string, text: string) => new RegExp(`^${variable}: ${JSON.stringify(text)} is not `);

describe('a setting', () => {
  test.each(good(rows))('%s "%s" is taken, and nothing else changes', (variable, text, value) => {
    const [name = ''] = table.find(([, { env }]) => env === variable) ?? [];
    const without = settingsOf({});
    expect(settingsOf({ [variable]: text })).toEqual({ ...without, [name]: value });
  });

  test.each(bad(rows))('%s "%s" is not', (variable, text) => {
    expect(() => settingsOf({ [variable]: text })).toThrow(refusal(variable, text));
  });
});

describe('a switch', () => {
  test.each(good(switches))('%s "%s" is taken, an empty one is none', (variable, text, value) => {
    expect(settingsOf({ [variable]: text }).features).toEqual({ [variable]: value });
    expect(settingsOf({ [variable]: '' }).features).toEqual({});
  });

  test.each(bad(switches))('%s "%s" is not', (variable, text) => {
    expect(() => settingsOf({ [variable]: text })).toThrow(refusal(variable, text));
  });
});
