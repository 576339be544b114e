// A folder as the kubelet mounts a ConfigMap or token: files are links through `..data`, which is swapped as a whole.
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes the next content; each file has the old text or the new one at any moment. */
export class MountedFolder {
  readonly path: string;
  #version = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Replaces all files: texts by name. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    const [before, now] = [`..${this.#version}`, `..${++this.#version}`];
    await mkdir(join(this.path, now), { recursive: true });
    for (const [name, text] of Object.entries(files))
      await writeFile(join(this.path, now, name), text, { mode: 0o600 });
    await symlink(now, join(this.path, '..data_tmp'));
    await rename(join(this.path, '..data_tmp'), join(this.path, '..data'));
    for (const name of Object.keys(files)) {
      await symlink(join('..data', name), join(this.path, name)).catch(ignoreExisting);
    }
    await rm(join(this.path, before), { recursive: true, force: true });
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
