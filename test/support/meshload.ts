// meshload, the load generator that the figures of istiod were taken with, built from ../shared/meshload.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGo } from './go-build.ts';

const source = join(import.meta.dirname, '..', '..', '..', 'shared', 'meshload');

/** The path of the built program. Throws where its source is not beside this checkout, or Go is missing. */
export async function ensureMeshload(onProgress?: (message: string) => void): Promise<string> {
  await access(join(source, 'go.mod')).catch(() => {
    throw new Error(`meshload is not here: its source is expected in ${source}, beside this checkout`);
  });
  const folder = await buildGo({ name: 'meshload', source, ...(onProgress === undefined ? {} : { onProgress }) });
  return join(folder, 'meshload');
}
