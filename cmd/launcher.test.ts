// That the launcher finds the right Node from any folder, and passes arguments, signals and exit code.
import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** What the launcher tells V8. */
const heap = '--max-semi-space-size=32 --v8-pool-size=2 --expose-gc --disable-warning=ExperimentalWarning';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'launcher-'));
  await mkdir(join(folder, 'app', 'cmd'), { recursive: true });
  await copyFile(join(import.meta.dirname, 'meltemi'), join(folder, 'app', 'cmd', 'meltemi'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A stand-in for Node that says which one it is, its version to `-p`, and what it was called with. */
async function node(path: string, version: number, body = 'echo "$0 $*"; exit 7'): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\nif [ "$1" = -p ]; then echo ${version}; exit; fi\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function launch(
  program: string,
  args: readonly string[],
  path: string,
  onOutput?: (pid: number) => void,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: tmpdir(), env: { PATH: `${path}:/usr/bin:/bin` } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => {
      stdout += data;
      onOutput?.(child.pid as number);
    });
    child.stderr.on('data', (data) => {
      stderr += data;
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

test('the installed Node wins, arguments arrive whole, and the exit code comes back', async () => {
  const installed = await node(join(folder, 'app', 'node_modules', '.bin', 'node'), 24);
  await node(join(folder, 'bin', 'node'), 25);
  const ended = await launch(
    join(folder, 'app', 'cmd', 'meltemi'),
    ['validate', '-f', 'a folder'],
    join(folder, 'bin'),
  );
  expect(ended).toMatchObject({
    code: 7,
    stdout: `${installed} ${heap} ${folder}/app/cmd/main.ts validate -f a folder\n`,
  });
});

test('through links it finds its own folder, and takes a Node on PATH that is new enough', async () => {
  const onPath = await node(join(folder, 'bin', 'node'), 24);
  await symlink('app/cmd/meltemi', join(folder, 'one'));
  await symlink(join(folder, 'one'), join(folder, 'bin', 'meltemi'));
  const ended = await launch(join(folder, 'bin', 'meltemi'), ['version'], join(folder, 'bin'));
  expect(ended.stdout).toBe(`${onPath} ${heap} ${folder}/app/cmd/main.ts version\n`);
});

test('an old Node is refused with what to do', async () => {
  await node(join(folder, 'bin', 'node'), 20);
  const ended = await launch(join(folder, 'app', 'cmd', 'meltemi'), [], join(folder, 'bin'));
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toContain('needs Node 24 or later');
});

test('a signal reaches the program itself', async () => {
  await node(join(folder, 'bin', 'node'), 24, 'trap "exit 9" TERM; echo up; while :; do sleep 0.05; done');
  const ended = await launch(join(folder, 'app', 'cmd', 'meltemi'), [], join(folder, 'bin'), (pid) =>
    process.kill(pid, 'SIGTERM'),
  );
  expect(ended.code).toBe(9);
});
