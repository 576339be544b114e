// Mesh configuration from files: how Kubernetes mounts and swaps them, what is bad, and what stays in force.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatDiagnostic } from '../diagnostic.ts';
import { Store } from '../store.ts';
import { validate } from '../validate.ts';
import { besideMeshFiles, startMeshFiles } from './mesh-files.ts';
import type { Source } from './source.ts';

const configMap = { namespace: 'istio-system', name: 'istio' };
let folder: string;
let source: Source | undefined;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mesh-'));
  store = new Store();
});
afterEach(async () => {
  await source?.[Symbol.asyncDispose]();
  source = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** Puts files where a kubelet would, and swaps them in as it does. */
async function mount(version: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(folder, version));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, version, name), text);
    await symlink(join('..data', name), join(folder, name)).catch(() => undefined);
  }
  await symlink(version, join(folder, '..next'));
  await rename(join(folder, '..next'), join(folder, '..data'));
}

async function start(): Promise<void> {
  const [mesh, networks] = [join(folder, 'mesh'), join(folder, 'meshNetworks')];
  source = await startMeshFiles({ mesh, networks, configMap, now: () => 1 }, store.sinkOf('mesh'));
}
const data = () => store.get('ConfigMap', 'istio-system/istio')?.data;
const findings = () => store.findings().map((finding) => formatDiagnostic(finding).replaceAll(folder, '…'));

test('stand for the ConfigMap, and are followed through the swap of a link', async () => {
  await mount('..1', { mesh: 'accessLogFile: /dev/stdout\n', meshNetworks: 'networks: {}\n' });
  await start();
  expect(data()).toEqual({ mesh: 'accessLogFile: /dev/stdout\n', meshNetworks: 'networks: {}\n' });
  expect(store.synced).toBe(true);
  expect(store.originOf('ConfigMap', 'istio-system/istio')).toEqual({ file: join(folder, 'mesh'), line: 1, column: 1 });
  await mount('..2', { mesh: 'trustDomain: a.example\n' });
  await expect.poll(data).toEqual({ mesh: 'trustDomain: a.example\n' });
  expect(findings()).toEqual([]);
});

test('keep the last good one, and say at which line the new one is bad', async () => {
  await mount('..1', { mesh: 'trustDomain: a.example\n' });
  await start();
  await mount('..2', { mesh: '# new\ntrustDomain: b.example\nproxyListenPort: x\n', meshNetworks: '[' });
  await expect
    .poll(findings)
    .toEqual([
      '…/mesh:3:1: error[wrong-type] proxyListenPort: must be a whole number, not a string',
      '…/mesh:1:1: warning[kept-last-good] the last valid version stays in force',
      expect.stringMatching(/^…\/meshNetworks:1:\d: error\[yaml-syntax\]/),
    ]);
  expect(data()).toEqual({ mesh: 'trustDomain: a.example\n' });
  // What a rule finds has a line as well.
  await mount('..3', { mesh: 'trustDomain: c.example\n\nconnectTimeout: 0s\n', meshNetworks: '' });
  await expect
    .poll(findings)
    .toEqual([
      '…/mesh:3:1: error[invalid-value] connectTimeout: must be from 1 ms to 1 h',
      '…/mesh:1:1: warning[kept-last-good] the last valid version stays in force',
    ]);
  await rm(join(folder, 'mesh'));
  await expect.poll(findings).toContain('…/mesh:1:1: error[file-unreadable] is not there');
  expect(data()?.['mesh']).toBe('trustDomain: a.example\n');
  await writeFile(join(folder, 'mesh'), 'trustDomain: d.example\n');
  await expect.poll(data).toMatchObject({ mesh: 'trustDomain: d.example\n' });
  expect(findings()).toEqual([]);
});

test('that are too large or no text are not read', async () => {
  await writeFile(join(folder, 'mesh'), `# ${'x'.repeat(1 << 20)}`);
  await writeFile(join(folder, 'meshNetworks'), Buffer.from([0xff, 0xfe]));
  await start();
  expect(data()).toEqual({});
  expect(findings()).toEqual([
    '…/mesh:1:1: error[file-unreadable] is larger than 1 MiB',
    '…/meshNetworks:1:1: error[file-unreadable] is not UTF-8 text',
  ]);
});

test('leave the ConfigMap of the other source without a say, and others as they are', () => {
  const sink = besideMeshFiles(store.sinkOf('kubernetes'), configMap);
  for (const name of ['istio', 'other']) {
    const { object } = validate({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...configMap, name }, data: {} });
    sink.apply([{ kind: 'ConfigMap', key: `istio-system/${name}`, object }]);
    sink.report(`ConfigMap istio-system/${name}`, [{ code: 'wrong-type', severity: 'error', message: name }]);
  }
  expect(store.list('ConfigMap').map(({ metadata }) => metadata.name)).toEqual(['other']);
  expect(store.findings().map(({ message }) => message)).toEqual(['other']);
});
