// Reads folders and files of configuration once, for the commands that work without a server.
import type { Diagnostic } from '../config/diagnostic.ts';
import { startFileSource } from '../config/sources/files.ts';
import type { CheckObject, ObjectChange } from '../config/sources/source.ts';
import { Store } from '../config/store.ts';
import { validate } from '../config/validate.ts';

/** What the paths held. */
export interface ReadFiles {
  readonly store: Store;
  readonly changes: readonly ObjectChange[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads folders or single files. Paths that are not there are findings, not exceptions. */
export async function readFiles(paths: readonly string[], now: () => number = Date.now): Promise<ReadFiles> {
  const read = await readWith(paths, validate, now);
  if (!read.changes.some(({ kind }) => kind === 'EnvoyFilter')) return read;
  // Envoy's types take a second to load, and only EnvoyFilters are checked against them.
  const { registry } = await import('../protos/registry.ts');
  return readWith(paths, (raw) => validate(raw, { envoyTypes: registry }), now);
}

async function readWith(paths: readonly string[], check: CheckObject, now: () => number): Promise<ReadFiles> {
  const store = new Store();
  const changes: ObjectChange[] = [];
  store.subscribe((some) => changes.push(...some));
  for (const path of paths) {
    const source = await startFileSource({ path, check, watch: false, now }, store.sinkOf(path));
    await source[Symbol.asyncDispose]();
  }
  return { store, changes, diagnostics: store.findings() };
}
