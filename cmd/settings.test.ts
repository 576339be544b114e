// Settings from flags and variables: what counts before what, every type of value, and messages that name the bad one.
import { globSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { anyHost } from './any-host.ts';
import { ignoredFlags, ignoredVariables } from './ignored-settings.ts';
import { placeOf } from './setting-values.ts';
import { discoveryFlags, readSettings } from './settings.ts';
import { features, type Setting, settingsTable } from './settings-table.ts';

/** As the command reads a command line. */
function parse(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const command = discoveryFlags(new Command('discovery')).exitOverride();
  command.parse([...args], { from: 'user' });
  return readSettings(command.opts(), command.args, env);
}
const settingsOf = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => parse(args, env).settings;

const rows: readonly Setting<unknown>[] = Object.values(settingsTable);

describe('what counts', () => {
  test.each([
    ['the default', [], {}, 'Kubernetes'],
    ['the variable before it', [], { CLUSTER_ID: 'a' }, 'a'],
    ['the flag before that', ['--clusterID', 'b'], { CLUSTER_ID: 'a' }, 'b'],
    ['a flag with an equals sign', ['--clusterID=b'], {}, 'b'],
    ['the default where a variable is set to nothing', [], { CLUSTER_ID: '' }, 'Kubernetes'],
  ])('%s', (_what, args, env, expected) => {
    expect(settingsOf(args, env).clusterId).toBe(expected);
  });

  test.each([
    [['--httpsAddr', ''], {}, { httpsAddr: '' }],
    [['--grpcAddr='], {}, { grpcAddr: '' }],
    [['--httpAddr', ':80'], {}, { httpAddr: '0.0.0.0:80' }],
    [['--httpAddr', '[::1]:80'], {}, { httpAddr: '[::1]:80' }],
    [['--httpAddr', '127.0.0.1:0'], {}, { httpAddr: '127.0.0.1:0' }],
    [['--httpAddr', 'node-1.example.com:80'], {}, { httpAddr: 'node-1.example.com:80' }],
    [['-n', 'mesh'], {}, { systemNamespace: 'mesh' }],
    [['--keepaliveInterval', '1m'], { GRPC_KEEPALIVE_INTERVAL: '5s' }, { keepaliveMs: 60_000 }],
    [
      [],
      { GRPC_KEEPALIVE_INTERVAL: '5s', GRPC_KEEPALIVE_TIMEOUT: '1500ms' },
      { keepaliveMs: 5000, keepaliveTimeoutMs: 1500 },
    ],
    [['--log_output_level', 'xds:debug,default:warn'], {}, { logLevel: 'warn' }],
    [['--log_output_level', 'none'], {}, { logLevel: 'silent' }],
    [[], { XDS_AUTH: 'False', ENABLE_CA_SERVER: '0' }, { xdsAuth: false, caServer: false }],
    [[], { XDS_AUTH: 't', USE_CACERTS_FOR_SELF_SIGNED_CA: '1' }, { xdsAuth: true, cacertsSecret: true }],
    [[], { INJECTION_WEBHOOK_CONFIG_NAME: '' }, { injectionWebhook: '', validationWebhook: 'istio-istio-system' }],
    [[], { DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES: 'a, b,' }, { debugNamespaces: ['a', 'b'] }],
    [[], { CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL: '-1s' }, { rootCheckMs: -1000 }],
    [[], { CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: '4096' }, { rootRsaBits: '4096' }],
    [[], { EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API', ENABLE_CA_SERVER: 'false' }, { caServer: false }],
    [[], { PILOT_MAX_REQUESTS_PER_SECOND: '2.5' }, { maxStreamRate: 2.5 }],
    [[], {}, { kubeconfig: undefined, agentlessCertTtlMs: undefined, rootRsaBits: undefined }],
  ])('%j with %j gives %j', (args, env, expected) => {
    expect(settingsOf(args, env as Record<string, string>)).toMatchObject(expected);
  });

  test('every default is a value of its type', () => {
    expect(Object.keys(settingsOf([]))).toEqual([...Object.keys(settingsTable), 'features']);
    for (const { type, default: fallback } of Object.values(features)) expect(type.read(fallback)).toBeDefined();
  });

  test('settings cannot be changed', () => {
    expect(Object.isFrozen(settingsOf([]))).toBe(true);
  });
});

describe('a bad value ends the start with its name', () => {
  test.each([
    ...['15010', ':70000', '::1:80', '[::1]', '[::1]80', '[10.0.0.1]:80', '[]:80', 'a b:80', ':http', 'x:'].map(
      (text) =>
        [['--httpAddr', text], {}, `--httpAddr: "${text}" is not host:port, [address]:port or :port`] as [
          string[],
          object,
          string,
        ],
    ),
    [['--shutdownDuration', '10'], {}, '--shutdownDuration: "10" is not a duration such as 10s or 1h30m'],
    [['--shutdownDuration', '-1s'], {}, '--shutdownDuration: "-1s" is not a duration such as 10s or 1h30m'],
    [[], { XDS_AUTH: 'no' }, 'XDS_AUTH: "no" is not true or false'],
    [[], { GRPC_KEEPALIVE_INTERVAL: 'soon' }, 'GRPC_KEEPALIVE_INTERVAL: "soon" is not a duration such as 10s or 1h30m'],
    [[], { ISTIO_GPRC_MAXRECVMSGSIZE: '4Mi' }, /^ISTIO_GPRC_MAXRECVMSGSIZE: "4Mi" is not a whole number from 1024 to /],
    [[], { PILOT_MAX_REQUESTS_PER_SECOND: '-1' }, /^PILOT_MAX_REQUESTS_PER_SECOND: "-1" is not a number from 0 to /],
    [
      [],
      { CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: '512' },
      /^CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: "512" is not one of "2048"/,
    ],
    [
      [],
      { PILOT_CERT_PROVIDER: 'kubernetes' },
      /^PILOT_CERT_PROVIDER: "kubernetes" is not istiod or none .*not supported/,
    ],
    [[], { PILOT_CERT_PROVIDER: 'k8s.io/a' }, /^PILOT_CERT_PROVIDER: "k8s.io\/a" is not istiod or none/],
    [[], { EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API' }, /^EXTERNAL_CA: "ISTIOD_RA_KUBERNETES_API" is not supported/],
    [[], { ENABLE_NATIVE_SIDECARS: 'maybe' }, 'ENABLE_NATIVE_SIDECARS: "maybe" is not one of "auto", "true", "false"'],
    [[], { PILOT_TRACE_SAMPLING: '101' }, 'PILOT_TRACE_SAMPLING: "101" is not a number from 0 to 100'],
    [['--tlsCertFile', 'a'], {}, '--tlsCertFile, --tlsKeyFile and --caCertFile must be given together'],
  ])('%j %j', (args, env, message) => {
    expect(() => settingsOf(args, env as Record<string, string>)).toThrow(message);
  });
});

test('an address without a host stands for all addresses of the machine, in both families where it has them', async () => {
  const { settings } = readSettings({ httpAddr: ':80', grpcAddr: '' }, [], {}, '[::]');
  expect([settings.httpAddr, settings.grpcAddr, settings.secureGrpcAddr]).toEqual(['[::]:80', '', '[::]:15012']);
  expect(placeOf(settings.httpAddr)).toEqual({ host: '::', port: 80 });
  expect(placeOf('0.0.0.0:80')).toEqual({ host: '0.0.0.0', port: 80 });
  const hasV6 = Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
  expect(await anyHost()).toBe(hasV6 ? '[::]' : '0.0.0.0');
});

test('switches are kept in the form that translation compares with', () => {
  const env = {
    ISTIO_DUAL_STACK: 'TRUE',
    ENABLE_100_CONTINUE_HEADERS: '0',
    PILOT_TRACE_SAMPLING: ' 5 ',
    PILOT_HTTP10: '1',
    PILOT_ENABLE_QUIC_LISTENERS: '1',
  };
  expect(settingsOf([], env).features).toEqual({
    ISTIO_DUAL_STACK: 'true',
    ENABLE_100_CONTINUE_HEADERS: 'false',
    PILOT_TRACE_SAMPLING: '5',
    PILOT_HTTP10: 'true',
  });
});

test('flags of istiod without a meaning here pass silently, others with a word', () => {
  const known = ['--ctrlz_port', '9876', '--ctrlz_address=localhost', '--log_as_json', '--grpcAddr', ':1'];
  const { settings, warnings } = parse([...known, '--strange=1']);
  expect(settings.grpcAddr).toBe('0.0.0.0:1');
  expect(warnings).toEqual(['flag --strange=1 is not known and ignored']);
});

test('every switch that is read is in the table, and every one in the table is read', () => {
  const textsOf = (pattern: string) =>
    globSync(pattern, { exclude: ['**/*.test.ts'] }).map((path) => readFileSync(path, 'utf8'));
  const sources = textsOf('{discovery,webhook}/**/*.ts');
  for (const name of Object.keys(features))
    expect(
      sources.some((text) => text.includes(name)),
      name,
    ).toBe(true);
  const read = [...sources, ...textsOf('cmd/**/*.ts')].flatMap((text) =>
    [...text.matchAll(/features(?:\['|\.)([A-Z0-9_]{4,})/g)].map(([, name]) => name),
  );
  for (const name of read) expect(Object.keys(features)).toContain(name);
});

test('nothing is both read and ignored, or listed twice', () => {
  const names = [
    ...rows.flatMap(({ env }) => env ?? []),
    ...Object.keys(features),
    ...[...ignoredFlags, ...ignoredVariables].flatMap((each) => each.names),
    ...rows.flatMap(({ flag }) => flag?.match(/--\w+/)?.[0] ?? []),
  ];
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});
