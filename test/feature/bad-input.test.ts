// Bad input to a real control plane: each gets a clear message, and the rest goes on working.
import { mkdir, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Diagnostic, formatDiagnostic } from '../../config/diagnostic.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { type Finished, run } from '../support/child.ts';
import { type DiscoveryPorts, startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect, type GrpcConnection, type GrpcStream } from '../support/xds/grpc-client.ts';

const program = join(import.meta.dirname, '..', '..', 'cmd', 'main.ts');
const megabyte = 1024 * 1024;

let folder: string;
let config: string;
let discovery: TestDiscovery;
let connection: GrpcConnection;
let stream: GrpcStream;
let services = 0;

const serviceOf = (name: string): string => `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
`;

const routesOf = (rest: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: steady, namespace: shop}
spec:
  hosts: [steady]
  ${rest}
`;

/** Nine levels of nine aliases: 387 million elements if they were expanded. */
function aliasBomb(): string {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++) {
    const [name, before] = [String.fromCharCode(97 + level), String.fromCharCode(96 + level)];
    lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`);
  }
  return lines.join('\n');
}

interface Status {
  readonly findings: readonly Diagnostic[];
  readonly sources: Readonly<Record<string, { readonly connected: boolean; readonly message?: string }>>;
}

async function status(): Promise<Status> {
  return JSON.parse(await discovery.get('/debug/status')) as Status;
}

/** The findings about a file. */
async function findingsIn(file: string): Promise<readonly Diagnostic[]> {
  return (await status()).findings.filter(({ position }) => position?.file.endsWith(file) === true);
}

function meltemi(...args: readonly string[]): Promise<Finished> {
  return run(process.execPath, [program, ...args], { timeoutMs: 60_000 });
}

/** Adds a Service, and waits until a proxy that is connected all the time was sent its cluster. */
async function expectServing(): Promise<void> {
  const name = `fresh-${services++}`;
  await writeFile(join(config, `${name}.yaml`), serviceOf(name));
  const cluster = `outbound|80||${name}.shop.svc.cluster.local`;
  const message = await Promise.race([
    stream.next(({ resources }) => resources.has(cluster)),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 10_000)),
  ]);
  expect(message?.nonce, `${cluster} was not sent`).toBeDefined();
}

function openStream(): GrpcStream {
  const opened = connection.open('delta');
  opened.delta({ node: sidecarNode('app', 'shop'), typeUrl: typeUrls.cluster });
  return opened;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bad-input-'));
  config = join(folder, 'config');
  await mkdir(config);
  await writeFile(join(config, 'steady.yaml'), serviceOf('steady'));
  discovery = await startDiscovery({ configFolder: config, flags: ['--stateDir', join(folder, 'state')] });
  connection = connect(`127.0.0.1:${discovery.ports.grpc}`);
  stream = openStream();
  await stream.next(({ resources }) => resources.has('outbound|80||steady.shop.svc.cluster.local'));
}, 60_000);

afterAll(async () => {
  connection?.close();
  await discovery?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Bad = readonly [what: string, content: string | Buffer | number, code: string, message: RegExp, line: number];

const bad: readonly Bad[] = [
  ['malformed YAML', `${serviceOf('half')}---\nfoo: [1, 2\nbar: 3\n`, 'yaml-syntax', /flow sequence/i, 7],
  ['a wrong type', serviceOf('x').replace('80', '"eighty"'), 'wrong-type', /spec\.ports\[0\]\.port/, 4],
  ['an unknown field', routesOf('htpp: []'), 'unknown-field', /did you mean http\?/, 6],
  [
    'a duplicate object',
    `${serviceOf('twice')}---\n${serviceOf('twice')}`,
    'duplicate-object',
    /already defined.*:1/,
    6,
  ],
  ['a file of 100 MB', 100 * megabyte, 'file-unreadable', /larger than 16 MiB/, 1],
  ['an alias bomb', aliasBomb(), 'yaml-limit', /alias/i, 1],
  ['200,000 levels', `a: ${'['.repeat(200_000)}`, 'yaml-limit', /nested deeper than 100 levels/, 1],
  [
    'the key __proto__',
    serviceOf('x').replace('namespace: shop}', 'namespace: shop, labels: {__proto__: {polluted: yes}}}'),
    'invalid-value',
    /__proto__/,
    3,
  ],
  ['a binary file', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0xff, 0xfe, 0x00, 0x80]), 'file-unreadable', /not UTF-8/, 1],
];

describe('in the folder', () => {
  test.each(bad)('%s', async (_what, content, code, message, line) => {
    const file = join(config, 'bad.yaml');
    await writeFile(file, typeof content === 'number' ? '' : content);
    if (typeof content === 'number') await truncate(file, content);
    const found = await waitFor('the finding', async () => {
      return (await findingsIn('bad.yaml')).find((finding) => finding.code === code);
    });
    const text = `${found.path ?? ''} ${found.message} ${found.help ?? ''}`;
    expect(text).toMatch(message);
    expect(found.position?.line).toBe(line);
    expect(discovery.child.output()).toContain(`[${code}]`);
    const checked = await meltemi('validate', '-f', file, '--strict');
    expect(checked.code).toBe(1);
    expect(checked.stdout).toContain(`bad.yaml:${line}:`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not reach a terminal
    expect(checked.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    await expectServing();
    await rm(file);
    await waitFor('the finding to go', async () => (await findingsIn('bad.yaml')).length === 0);
  });

  test('of an object that becomes bad, the last good version stays', async () => {
    const file = join(config, 'routes.yaml');
    const routes = connection.open('delta');
    await writeFile(file, routesOf('http: [{directResponse: {status: 418, body: {string: the good one}}}]'));
    routes.delta({ node: sidecarNode('other', 'shop'), typeUrl: typeUrls.route, resourceNamesSubscribe: ['80'] });
    const good = () => routes.received.some(({ resources }) => resources.get('80')?.includes('the good one'));
    await waitFor('the route', good);
    await writeFile(file, routesOf('http: [{directResponse: {status: many}}]'));
    const codes = async () => (await findingsIn('routes.yaml')).map(({ code }) => code);
    await waitFor('both findings', async () => (await codes()).length === 2);
    expect(await codes()).toEqual(['wrong-type', 'kept-last-good']);
    await expectServing();
    const [object] = JSON.parse(await discovery.get('/debug/configz')).filter(
      (one: { kind: string }) => one.kind === 'VirtualService',
    );
    expect(JSON.stringify(object)).toContain('418');
    routes.end();
    await rm(file);
  });

  test('delegates in a circle', async () => {
    const file = join(config, 'circle.yaml');
    const root = (name: string, to: string): string =>
      routesOf(`http: [{delegate: {name: ${to}}}]`).replaceAll('steady', name);
    await writeFile(file, `${root('chicken', 'egg')}---\n${root('egg', 'chicken')}`);
    const found = await waitFor('both findings', async () => {
      const findings = await findingsIn('circle.yaml');
      return findings.length === 2 ? findings.map(formatDiagnostic) : undefined;
    });
    const said = (line: number, name: string, other: string): string =>
      `circle.yaml:${line}:1: warning[invalid-reference] VirtualService shop/${name} spec.http[0].delegate: ` +
      `VirtualService shop/${other} has hosts`;
    expect(found[0]).toContain(said(1, 'chicken', 'egg'));
    expect(found[1]).toContain(said(8, 'egg', 'chicken'));
    expect(discovery.child.output()).toContain(said(1, 'chicken', 'egg'));
    await expectServing();
    await writeFile(file, root('chicken', 'egg').replace('delegate: {name: egg}', 'directResponse: {status: 404}'));
    await waitFor('the findings to go', async () => (await findingsIn('circle.yaml')).length === 0);
    await rm(file);
  });

  test('the folder vanishes and returns', async () => {
    const away = join(folder, 'away');
    await rename(config, away);
    const source = async () => Object.values((await status()).sources)[0];
    await waitFor('the folder to be missed', async () => (await source())?.connected === false);
    expect((await source())?.message).toMatch(/is not there/);
    expect((await fetch(`http://127.0.0.1:${discovery.ports.http}/ready`)).status).toBe(200);
    const meanwhile = openStream();
    await meanwhile.next(({ resources }) => resources.has('outbound|80||steady.shop.svc.cluster.local'));
    meanwhile.end();
    await rename(away, config);
    await waitFor('the folder to be found', async () => (await source())?.connected === true);
    await expectServing();
  });
});

describe('at the ports', () => {
  const portNames: readonly (readonly [string, keyof DiscoveryPorts])[] = [
    ['--grpcAddr', 'grpc'],
    ['--httpAddr', 'http'],
    ['--monitoringAddr', 'monitoring'],
  ];

  test.each(portNames)('a second server with the same %s says so and ends', async (flag, name) => {
    const taken = `127.0.0.1:${discovery.ports[name]}`;
    const args: string[] = ['--configDir', config, '--stateDir', join(folder, 'state-2')];
    for (const one of ['--grpcAddr', '--secureGRPCAddr', '--httpAddr', '--httpsAddr', '--monitoringAddr']) {
      args.push(one, one === flag ? taken : `127.0.0.1:${await freePort('127.0.0.1')}`);
    }
    const { code, stderr } = await meltemi('discovery', ...args);
    expect(code).toBe(1);
    expect(stderr).toContain(`${flag} ${taken}`);
    expect(stderr).toMatch(/in use/);
    expect(stderr).not.toMatch(/^\s+at /m);
    await expectServing();
  });

  test('a client that sends garbage loses its stream, others nothing', async () => {
    const garbage = connection.open('delta');
    garbage.raw(Buffer.from('\xff\xfe not protobuf', 'latin1'));
    const { code, details } = await garbage.status;
    expect(code).not.toBe(0);
    expect(details).not.toBe('');
    await expectServing();
  });

  test('a proxy that rejects is shown by /debug/status, a metric and `meltemi status`', async () => {
    const rejecting = connection.open('delta');
    rejecting.delta({ node: sidecarNode('picky', 'shop'), typeUrl: typeUrls.cluster });
    const { nonce } = await rejecting.next(({ typeUrl }) => typeUrl === typeUrls.cluster);
    const errorDetail = { code: 3, message: 'outbound|80||steady.shop.svc.cluster.local: of no use' };
    rejecting.delta({ typeUrl: typeUrls.cluster, responseNonce: nonce, errorDetail });
    const shown = async () => (await discovery.get('/debug/status')).includes('of no use');
    await waitFor('the rejection to be shown', shown);
    expect(await discovery.get('/metrics')).toMatch(/^pilot_total_xds_rejects\{type="cds"\} 1$/m);
    const answer = await meltemi('status', '--address', `127.0.0.1:${discovery.ports.monitoring}`);
    expect(answer.code).toBe(1);
    expect(answer.stdout).toMatch(/picky.*rejects.*of no use/);
    expect(answer.stdout).toContain('Service shop/steady');
    rejecting.end();
    await expectServing();
  });
});
