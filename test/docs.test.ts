// The generated pages of the documentation are those that the schemas and the table of diagnostics give.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildPages } from '../docs/pages.ts';

const docs = join(import.meta.dirname, '..', 'docs');
const pages = buildPages();

describe('generated pages are current (node docs/generate.ts writes them)', () => {
  test.each(pages.map(({ path, text }) => [path, text] as const))('%s', async (path, text) => {
    expect(existsSync(join(docs, path)), `docs/${path} is missing`).toBe(true);
    expect(await readFile(join(docs, path), 'utf8')).toBe(text);
  });

  test('no page is left of a kind that went', async () => {
    const names = await readdir(join(docs, 'reference'));
    expect(names.sort()).toEqual(
      pages
        .map(({ path }) => path)
        .filter((path) => path.startsWith('reference/'))
        .map((path) => path.slice('reference/'.length))
        .sort(),
    );
  });
});

test('every link inside a page has its heading', () => {
  for (const { path, text } of pages) {
    const headings = new Set(
      [...text.matchAll(/^##* (.+)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^a-z0-9 _-]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const [, anchor = ''] of text.matchAll(/\]\(#([^)]+)\)/g)) {
      expect(headings.has(anchor), `${path}: #${anchor}`).toBe(true);
    }
  }
});

test('every field of every kind is described', () => {
  for (const { path, text } of pages.filter(({ path }) => path.startsWith('reference/'))) {
    expect([...text.matchAll(/^\| `.*\| {2}\|$/gm)].map(([line]) => `${path}: ${line}`)).toEqual([]);
  }
});
