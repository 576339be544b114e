// That holes in the heap of malloc go back to the operating system.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runOrThrow } from '../test/support/child.ts';

const enough = 24 * 1024 * 1024;
const program = `
  const enough = ${enough};
  const { mallocTrim } = await import(${JSON.stringify(join(import.meta.dirname, 'malloc-trim.ts'))});
  const trim = mallocTrim();
  // Of 64 MiB every hundredth KiB stays: the heap cannot shrink from its end.
  const all = Array.from({ length: 65_536 }, () => new Uint8Array(new ArrayBuffer(1024)).fill(1));
  const kept = all.filter((_, i) => i % 100 === 0);
  all.length = 0;
  gc();
  const { rss } = process.memoryUsage;
  let [gave, given] = [false, 0];
  // V8 frees them on a thread of its own.
  for (let i = 0; i < 100 && given < enough; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = rss();
    gave = trim() || gave;
    given += before - rss();
  }
  console.log(JSON.stringify({ gave, given, kept: kept.length }));
`;

test('most of what lies between what is in use is given back', async () => {
  const args = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const told = JSON.parse(await runOrThrow(process.execPath, args)) as { gave: boolean; given: number; kept: number };
  expect(told).toMatchObject({ gave: true, kept: 656 });
  expect(told.given).toBeGreaterThanOrEqual(enough);
});
