// Writes the generated pages of the documentation: `node docs/generate.ts`.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildPages } from './pages.ts';

const pages = buildPages();
for (const { path, text } of pages) {
  const file = join(import.meta.dirname, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
for (const name of await readdir(join(import.meta.dirname, 'reference'))) {
  if (!pages.some(({ path }) => path === `reference/${name}`)) await rm(join(import.meta.dirname, 'reference', name));
}
console.log(`${pages.length} pages written`);
