// That holes in the heap of malloc go back to the operating system.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runOrThrow } from '../test/support/child.ts';

const program = `
  const { mallocTrim } = await import(${JSON.stringify(join(import.meta.dirname, 'malloc-trim.ts'))});
  const trim = mallocTrim();
  // Of 64 MiB every hundredth KiB stays: the heap cannot shrink from its end.
  const all = Array.from({ length: 65_536 }, () => new Uint8Array(new ArrayBuffer(1024)).fill(1));
  const kept = all.filter((_, i) => i % 100 === 0);
  all.length = 0;
  gc();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = process.memoryUsage.rss();
  const gave = trim();
  console.log(JSON.stringify({ gave, given: before - process.memoryUsage.rss(), kept: kept.length }));
`;

test('most of what lies between what is in use is given back', async () => {
  const args = ['--expose-gc', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const told = JSON.parse(await runOrThrow(process.execPath, args)) as { gave: boolean; given: number; kept: number };
  expect(told).toMatchObject({ gave: true, kept: 656 });
  expect(told.given).toBeGreaterThan(24 * 1024 * 1024);
});
