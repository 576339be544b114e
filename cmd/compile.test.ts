// That no module of the control plane is left to be stripped of its types at a start, once they were compiled.
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../test/support/child.ts';

const launcher = join(import.meta.dirname, 'meltemi');

test('a start after `meltemi compile` finds every module', { timeout: 60_000 }, async () => {
  const cache = await mkdtemp(join(tmpdir(), 'compiled-'));
  const environment = { ...process.env, NODE_COMPILE_CACHE: cache };
  try {
    expect(await run(launcher, ['compile'], { environment })).toMatchObject({ code: 0, stdout: '', stderr: '' });
    // Node itself tells what it does with the cache.
    const traced = { ...environment, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
    const { code, stdout, stderr } = await run(launcher, ['discovery', '--help'], { environment: traced });
    expect(code).toBe(0);
    const told = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('StrippedTypeScript'));
    expect(told.filter((line) => line.includes('retrieving transpile cache')).length).toBeGreaterThan(300);
    expect(told.filter((line) => line.includes('no transpile cache'))).toEqual([]);
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
});

test('the image holds every module: what the Dockerfile copies can be compiled', { timeout: 60_000 }, async () => {
  const root = join(import.meta.dirname, '..');
  const image = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
    const copied = [...dockerfile.matchAll(/^COPY (?:--from=\S+ \/meltemi\/)?(\S+) \.\/(\S*)$/gm)].map(
      ([, from = '']) => from,
    );
    expect(copied).toContain('cmd');
    for (const from of new Set(copied)) {
      if (from === 'node_modules') await symlink(join(root, from), join(image, from));
      else await cp(join(root, from), join(image, from), { recursive: true });
    }
    const environment = { ...process.env, NODE_COMPILE_CACHE: join(image, 'cache') };
    const ended = await run(join(image, 'cmd', 'meltemi'), ['compile'], { environment });
    expect(ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
  } finally {
    await rm(image, { recursive: true, force: true });
  }
});
