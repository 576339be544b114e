// The rules of ARCHITECTURE.md as tests: who may import whom, which file knows which library, and habits of the source.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

/** Each folder of the product, with the folders it may import from besides itself. */
const layers: Readonly<Record<string, readonly string[]>> = {
  protos: [],
  config: ['protos'],
  discovery: ['protos', 'config'],
  certs: ['protos', 'config'],
  webhook: ['config'],
  cmd: ['protos', 'config', 'discovery', 'certs', 'webhook', 'samples'],
  samples: [],
};

/** Inside discovery a folder may import from those before it; `simulate` and `debug` read the result and serve nothing. */
const discoveryLayers = ['graph', 'model', 'proxy', 'translate', 'xds'] as const;

/** Each outside library, with the only files that know it (tests aside). Not listed here: known nowhere. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['config/sources/kube*.ts', 'certs/token-review*.ts'],
  '@grpc/grpc-js': ['discovery/xds/server.ts', 'discovery/xds/server-credentials.ts', 'certs/service.ts'],
  fastify: ['cmd/http*.ts', 'webhook/server*.ts'],
  commander: ['cmd/**'],
  pino: ['cmd/**'],
  'prom-client': ['cmd/**', 'discovery/xds/**'],
  diff: ['cmd/**'],
  rfc6902: ['webhook/**', 'cmd/**'],
  '@bufbuild/re2': ['config/**', 'discovery/**'],
  typebox: ['config/**'],
  yaml: ['config/**', 'cmd/**', 'webhook/**'],
  '@bufbuild/protobuf': ['**'],
  '@bufbuild/cel': ['config/**'],
};

/** What must not occur in the source of some folders, and why. */
const forbidden: readonly { readonly pattern: RegExp; readonly in: readonly string[]; readonly why: string }[] = [
  {
    pattern: /\bprocess\.(env|argv|exit|exitCode|on|once)\b/,
    in: ['config/**', 'discovery/**', 'certs/**', 'webhook/**'],
    why: 'only cmd/ reads argv and the environment and ends the process',
  },
  {
    pattern: /\bconsole\./,
    in: ['config/**', 'discovery/**', 'certs/**', 'webhook/**'],
    why: 'what is to be told is returned or logged by cmd/',
  },
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|\bsetTimeout\(|\bsetInterval\(/,
    in: ['config/kinds/**', 'config/rules/**', 'discovery/{graph,model,proxy,translate}/**'],
    why: 'clock and randomness are passed in',
  },
  {
    pattern:
      /(?<!import \{ [isIPv46, ]+ \} )from 'node:(fs|fs\/promises|net|http|https|http2|child_process|worker_threads)'/,
    in: ['config/kinds/**', 'config/rules/**', 'discovery/{graph,model,proxy,translate}/**'],
    why: 'files and network belong to the two ends',
  },
  { pattern: /\.localeCompare\(/, in: ['**'], why: 'order is by code unit, never by locale' },
  { pattern: /^(export )?(declare )?(const )?enum /m, in: ['**'], why: 'literal unions instead of enums' },
  {
    pattern: /protos\/gen\/files\.js'/,
    in: ['config/**', 'discovery/**', 'certs/**', 'webhook/**'],
    why: 'all generated files together cost 0.5 s and 66 MiB',
  },
  {
    pattern: new RegExp(`\\b(${['TO', 'FIX'].map((s, i) => s + ['DO', 'ME'][i]).join('|')})\\b|\\b${'XX'}X\\b`),
    in: ['**'],
    why: 'what is left to do belongs in an issue',
  },
  {
    pattern: new RegExp(
      `\\b(test|it|describe)(\\.\\w+)*\\.(${['skip', 'only', 'todo', 'skipIf', 'runIf', 'fails'].join('|')})\\b`,
    ),
    in: ['**'],
    why: 'a test that does not run is none',
  },
];

const lineLimit = 500;
/** Files that grew beyond the limit: a list that may only shrink. */
const longFiles: readonly string[] = [];

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const folders = [...Object.keys(layers), 'test'];
const files: readonly SourceFile[] = folders
  .flatMap((folder) => globSync(`${folder}/**/*.{ts,mjs}`, { cwd: root, exclude: ['protos/gen/**'] }))
  .sort()
  .map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    return { path, text, imports: importsOf(text) };
  });
const isTest = (path: string): boolean => path.startsWith('test/') || path.endsWith('.test.ts');
const product = files.filter((file) => !isTest(file.path));

/** Static and dynamic imports and re-exports; those inside comments begin with a star or slashes and do not match. */
function importsOf(text: string): readonly Import[] {
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(?:(type)\s+)?(?:[^'"`;=()]*?\sfrom\s+)?'([^']+)'/gm;
  for (const [, type, specifier] of text.matchAll(statement)) {
    found.push({ specifier: specifier as string, typeOnly: type !== undefined });
  }
  for (const [, specifier] of text.matchAll(/^(?!\s*(?:\*|\/\/)).*?\bimport\('([^']+)'\)/gm)) {
    found.push({ specifier: specifier as string, typeOnly: false });
  }
  return found;
}

/** Path of an imported file from the root; `undefined` for a library or a module of Node. */
function targetOf(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith('.') ? normalize(join(dirname(file.path), specifier)) : undefined;
}

function violations(check: (file: SourceFile, imported: Import) => string | undefined): string[] {
  return product.flatMap((file) =>
    file.imports.flatMap((imported) => {
      const message = check(file, imported);
      return message === undefined ? [] : [`${file.path} imports ${imported.specifier}: ${message}`];
    }),
  );
}

describe('imports', () => {
  test('go from a folder only to those below it', () => {
    const found = violations((file, { specifier }) => {
      const target = targetOf(file, specifier)?.split('/')[0];
      const own = file.path.split('/')[0] as string;
      if (target === undefined || target === own || layers[own]?.includes(target)) return undefined;
      return `${own} may import ${layers[own]?.join(', ') || 'nothing'}`;
    });
    expect(found).toEqual([]);
  });

  test('inside discovery go only downwards', () => {
    const layerOf = (path: string) => discoveryLayers.findIndex((layer) => path.startsWith(`discovery/${layer}/`));
    const found = violations((file, { specifier }) => {
      const target = targetOf(file, specifier);
      const from = layerOf(file.path);
      if (target === undefined || from < 0 || layerOf(target) <= from) return undefined;
      return `${discoveryLayers[from]} comes before ${discoveryLayers[layerOf(target)]}`;
    });
    expect(found).toEqual([]);
  });

  test('of outside libraries stand only where the library is known', () => {
    const found = violations((file, { specifier }) => {
      if (specifier.startsWith('.') || specifier.startsWith('node:') || file.path.startsWith('protos/'))
        return undefined;
      const name = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      const known = libraries[name] ?? [];
      if (known.some((pattern) => matchesGlob(file.path, pattern))) return undefined;
      return `${name} is known only to ${known.join(', ') || 'nobody'}`;
    });
    expect(found).toEqual([]);
  });

  test('of product code never reach into tests', () => {
    const found = violations((file, { specifier }) => {
      const target = targetOf(file, specifier);
      return target !== undefined && isTest(target) ? 'a test' : undefined;
    });
    expect(found).toEqual([]);
  });

  test('form no cycle', () => {
    const graph = new Map(files.map((file) => [file.path, runtimeTargets(file)]));
    expect(cyclesOf(graph)).toEqual([]);
  });
});

describe('the source', () => {
  test.each(forbidden.map((rule) => [rule.why, rule] as const))('keeps to: %s', (_, rule) => {
    const candidates = files.filter((file) => rule.in.some((pattern) => matchesGlob(file.path, pattern)));
    const concerned = rule.in.includes('**') ? candidates : candidates.filter((file) => !isTest(file.path));
    const found = concerned.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) => {
        const isComment = /^\s*(\/\/|\*|\/\*\*)/.test(line);
        return rule.pattern.test(line) && !(isComment && !rule.in.includes('**'))
          ? [`${path}:${i + 1}: ${line.trim()}`]
          : [];
      }),
    );
    expect(found.filter((line) => !line.startsWith('test/architecture.test.ts'))).toEqual([]);
  });

  test('says in the first line of each file what it is for', () => {
    const first = (text: string) => text.split('\n')[text.startsWith('#!') ? 1 : 0] ?? '';
    expect(files.filter(({ text }) => !/^\/\/ .{10,}/.test(first(text))).map(({ path }) => path)).toEqual([]);
  });

  test('has kebab-case names', () => {
    const named = /^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.(ts|mjs)$/;
    expect(files.map(({ path }) => path).filter((path) => !named.test(path))).toEqual([]);
  });

  test(`has no file above ${lineLimit} lines but the listed ones, and lists none that shrank`, () => {
    const long = files.filter(({ text }) => text.split('\n').length > lineLimit).map(({ path }) => path);
    expect(long).toEqual(longFiles);
  });
});

/** Imports that remain when types are stripped. */
function runtimeTargets(file: SourceFile): readonly string[] {
  return file.imports.flatMap(({ specifier, typeOnly }) => {
    const target = targetOf(file, specifier);
    return target === undefined || typeOnly ? [] : [target];
  });
}

/** Each cycle once, as the path that closes it. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (node: string, path: readonly string[]): void => {
    const at = path.indexOf(node);
    if (at >= 0) found.push([...path.slice(at), node].join(' → '));
    if (at >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...path, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}

test('these checks see what they are to see', () => {
  const text =
    "import type { A } from './a.ts';\nexport { b } from './b.ts';\nimport './c.ts';\n// import('./d.ts')\nawait import('./e.ts');";
  expect(importsOf(text)).toEqual([
    { specifier: './a.ts', typeOnly: true },
    { specifier: './b.ts', typeOnly: false },
    { specifier: './c.ts', typeOnly: false },
    { specifier: './e.ts', typeOnly: false },
  ]);
  expect(
    cyclesOf(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
  ).toEqual(['b → c → b']);
  expect(files.length).toBeGreaterThan(20);
});
