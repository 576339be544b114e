// Which cluster commands speak to, in kubectl's order, and what they say where there is none.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clusterAccess } from './cluster.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'cluster-'));
  await mkdir(join(home, '.kube'));
  for (const [file, name] of [
    ['.kube/config', 'home'],
    ['a', 'a'],
    ['b', 'b'],
  ] as const) {
    await writeFile(
      join(home, file),
      JSON.stringify({
        'current-context': name,
        contexts: [{ name, context: { cluster: name } }],
        clusters: [{ name, cluster: { server: `https://${name}` } }],
      }),
    );
  }
});
afterAll(() => rm(home, { recursive: true }));

const serverOf = async (...call: Parameters<typeof clusterAccess>) => (await clusterAccess(...call)).server;

test('the flag before KUBECONFIG, whose files are merged, before the file at home', async () => {
  const list = ['a', 'absent', 'b'].map((name) => join(home, name)).join(':');
  expect(await serverOf({ kubeconfig: join(home, 'b') }, { KUBECONFIG: list }, home)).toBe('https://b');
  expect(await serverOf({}, { KUBECONFIG: list }, home)).toBe('https://a');
  expect(await serverOf({ context: 'b' }, { KUBECONFIG: list }, home)).toBe('https://b');
  expect(await serverOf({}, { KUBECONFIG: '' }, home)).toBe('https://home');
});

test('without any of them, all are named, and no flag that commands do not have', async () => {
  await expect(clusterAccess({}, {}, '/nowhere')).rejects.toThrow(
    /^no cluster is named: there is no --kubeconfig, no KUBECONFIG and no \/nowhere\/\.kube\/config, and this is no pod/,
  );
});
