// The file source: objects and positions, last good versions, lists, duplicates, files and folders that go and return.
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Store } from '../store.ts';
import { validate } from '../validate.ts';
import { startFileSource } from './files.ts';
import type { CheckObject } from './source.ts';

let folder: string;
let store: Store;

const service = (name: string, port = 80): string => `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { ports: [{ port: ${port} }] }
`;
const route = (weight: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: shop }
spec:
  hosts: [web]
  http:
    - route:
        - destination: { host: web }
          weight: ${weight}
`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
  store = new Store();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const start = (watch: boolean, check: CheckObject = validate, lossMs?: number) =>
  startFileSource(
    { path: folder, check, watch, now: Date.now, ...(lossMs === undefined ? {} : { lossMs }) },
    store.sinkOf('files'),
  );
const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
const codes = (): readonly string[] => store.findings().map((finding) => finding.code);

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 8_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('waited too long');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('reads files of folders below, many documents and lists, and knows where each object stands', async () => {
  await mkdir(join(folder, 'deep'));
  await write('a.yaml', `${service('a')}---\n${service('b')}`);
  await write(
    'deep/c.json',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'c', namespace: 'shop' },
          spec: { ports: [{ port: 80 }] },
        },
      ],
    }),
  );
  await using _source = await start(false);
  expect(store.list('Service').map((one) => one.metadata.name)).toEqual(['a', 'b', 'c']);
  expect(store.originOf('Service', 'shop/b')).toMatchObject({ line: 6, column: 1 });
  expect(codes()).toEqual([]);
  expect(store.synced).toBe(true);
});

test('names line and column of what is wrong, and keeps the rest', async () => {
  await write('a.yaml', `${service('a')}---\n${route('no')}`);
  await using _source = await start(false);
  expect(store.list('Service')).toHaveLength(1);
  expect(store.findings()[0]).toMatchObject({
    code: 'wrong-type',
    path: 'spec.http[0].route[0].weight',
    position: { line: 14, column: 11 },
  });
});

test('keeps the last good version of an object and of a file that became bad, and says so', async () => {
  await write('a.yaml', route('1'));
  await write('b.yaml', service('b'));
  await using _source = await start(true);
  const good = store.get('VirtualService', 'shop/web');
  await write('a.yaml', route('no'));
  await until(() => codes().includes('kept-last-good'));
  expect(store.get('VirtualService', 'shop/web')).toBe(good);
  await write('b.yaml', 'foo: [');
  await until(() => codes().includes('yaml-syntax'));
  expect(store.get('Service', 'shop/b')).toBeDefined();
  await write('a.yaml', route('2'));
  await write('b.yaml', service('b', 81));
  await until(() => codes().length === 0 && store.get('Service', 'shop/b')?.spec?.ports?.[0]?.port === 81);
});

test('a file that is emptied or moved away while it is saved loses nothing, and what is gone for good goes', async () => {
  await write('a.yaml', service('a'));
  await write('b.yaml', service('b'));
  await using _source = await start(true, validate, 1_000);
  let losses = 0;
  store.subscribe(() => {
    if (store.count('Service') < 2) losses++;
  });
  const saves = [
    () => write('a.yaml', ''),
    () => write('a.yaml', '# the first lines of a longer text\n'),
    () => rename(join(folder, 'a.yaml'), join(folder, 'a.yaml~')),
  ];
  for (const [i, interrupted] of saves.entries()) {
    await interrupted();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await write('a.yaml', service('a', i + 1));
    await until(() => store.get('Service', 'shop/a')?.spec?.ports?.[0]?.port === i + 1);
  }
  await rename(join(folder, 'b.yaml'), join(folder, 'c.yaml'));
  await until(() => store.originOf('Service', 'shop/b')?.file.endsWith('c.yaml') === true);
  expect(losses).toBe(0);
  await write('a.yaml', '');
  await rm(join(folder, 'c.yaml'));
  await until(() => store.count('Service') === 0);
});

test('an object that moves between files is never gone nor twice there, and only what no file holds stays for a while', async () => {
  await write('x.yaml', service('a'));
  await write('y.yaml', service('b'));
  await using _source = await start(true, validate, 500);
  const absent: string[] = [];
  store.subscribe(() => {
    if (store.get('Service', 'shop/a') === undefined) absent.push('a');
  });
  await write('x.yaml', '');
  await write('y.yaml', service('a', 81));
  await until(() => store.get('Service', 'shop/a')?.spec?.ports?.[0]?.port === 81);
  await until(() => store.get('Service', 'shop/b') === undefined);
  await write('y.yaml', `${service('a', 82)}---\n${service('c')}`);
  await until(() => store.get('Service', 'shop/c') !== undefined);
  const found: string[] = [];
  store.onFindings(({ after }) => found.push(...after.map(({ code }) => code)));
  await write('z.yaml', service('a', 83));
  await rm(join(folder, 'y.yaml'));
  await until(() => store.get('Service', 'shop/a')?.spec?.ports?.[0]?.port === 83);
  expect(store.get('Service', 'shop/c')).toBeDefined();
  await until(() => store.get('Service', 'shop/c') === undefined);
  expect(absent).toEqual([]);
  // While both files were there, and no longer.
  expect(found.filter((code) => code !== 'duplicate-object')).toEqual([]);
  expect(codes()).toEqual([]);
});

test('the first of two definitions counts; when it goes the second one does', async () => {
  await write('a.yaml', service('web', 1));
  await write('b.yaml', service('web', 2));
  await using _source = await start(true);
  expect(store.get('Service', 'shop/web')?.spec?.ports?.[0]?.port).toBe(1);
  expect(store.findings()[0]).toMatchObject({ code: 'duplicate-object' });
  await rm(join(folder, 'a.yaml'));
  await until(() => store.get('Service', 'shop/web')?.spec?.ports?.[0]?.port === 2);
  expect(codes()).toEqual([]);
});

test("what is another revision's is not read, is no duplicate, and goes where it was ours", async () => {
  const ours = route('1');
  const theirs = route('no').replace('shop }', 'shop, labels: { istio.io/rev: other } }');
  await write('a.yaml', theirs);
  await write('b.yaml', ours);
  await write('c.yaml', ours.replace('name: web', 'name: c'));
  await using _source = await start(true, (raw) => validate(raw, { revision: 'default' }));
  expect(store.list('VirtualService').map(({ metadata }) => metadata.name)).toEqual(['c', 'web']);
  expect(codes()).toEqual([]);
  await write('b.yaml', theirs);
  await until(() => store.count('VirtualService') === 1);
  // Of a file that is broken further down it is known that it went.
  await write('c.yaml', `${theirs.replace('name: web', 'name: c')}---\nfoo: [`);
  await until(() => store.count('VirtualService') === 0);
  expect(codes()).toEqual(['yaml-syntax']);
  await write('b.yaml', ours);
  await until(() => store.count('VirtualService') === 1);
});

test('a folder that vanishes leaves what was read; when it returns it is followed again', async () => {
  await write('a.yaml', service('a'));
  await using _source = await start(true);
  await rename(folder, `${folder}-away`);
  await until(() => store.sources().get('files')?.connected === false);
  expect(store.list('Service')).toHaveLength(1);
  await rename(`${folder}-away`, folder);
  await write('b.yaml', service('b'));
  await until(() => store.list('Service').length === 2);
  expect(store.sources().get('files')?.connected).toBe(true);
});

test('refuses what is no text or too large, and reads the rest', async () => {
  await write('a.yaml', service('a'));
  await writeFile(join(folder, 'b.yaml'), Buffer.from([0xff, 0xfe, 0x00]));
  await write('c.yaml', `a: ${'x'.repeat(17 * 1024 * 1024)}`);
  await using _source = await start(false);
  expect(codes()).toEqual(['file-unreadable', 'file-unreadable']);
  expect(store.list('Service')).toHaveLength(1);
});
