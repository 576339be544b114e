// Runs one conformance suite on a folder of cases: `npm run conformance -- <suite> <folder> [part of a case's name]`.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Runner } from './runner.ts';

const [suite = '', folder = '', show = ''] = process.argv.slice(2);
const file = fileURLToPath(new URL(`./${suite}.ts`, import.meta.url));

if (!/^[a-z-]+$/.test(suite) || folder === '' || !existsSync(file)) {
  console.error('usage: npm run conformance -- <suite> <folder>, where <suite> is a file of test/conformance');
  process.exitCode = 2;
} else if (!existsSync(folder)) {
  console.error(`${folder}: no such folder; the suites lie beside the repository, in ../shared/suites/`);
  process.exitCode = 2;
} else {
  const { run } = (await import(file)) as { run: Runner };
  const { passed, failed, skipped } = await run(folder, (line) => console.log(line), show);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}
