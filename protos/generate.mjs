// Generates protos/gen from the .proto files that @grpc/grpc-js-xds ships and from our own in protos/istio.
// Runs at `npm ci`; plain JavaScript, because the system's Node may be older than the one the project pins.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const deps = join(root, 'node_modules/@grpc/grpc-js-xds/deps');
const work = join(root, '.cache/protos');
const out = join(here, 'gen');

/** Directories of the Envoy API whose messages we build or read. */
const roots = JSON.parse(readFileSync(join(here, 'roots.json'), 'utf8'));

function stage() {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  for (const module of [
    'envoy-api/envoy',
    'googleapis/google',
    'protoc-gen-validate/validate',
    'xds/xds',
    'xds/udpa',
  ]) {
    cpSync(join(deps, module), join(work, module.split('/')[1]), {
      recursive: true,
      filter: (path) => !/\.[a-z]+$/.test(path) || path.endsWith('.proto'),
    });
  }
  for (const own of ['istio', 'opentelemetry']) cpSync(join(here, own), join(work, own), { recursive: true });
  // The shipped validate.proto is older than the Envoy API beside it, which uses `ignore_empty` on messages of these rules.
  const validate = join(work, 'validate/validate.proto');
  const text = readFileSync(validate, 'utf8');
  writeFileSync(validate, addIgnoreEmpty(text));
  // Newer than the shipped Envoy API, and known to every Envoy we serve (1.32 and later).
  const cluster = join(work, 'envoy/config/cluster/v3/cluster.proto');
  writeFileSync(cluster, addDnsJitter(readFileSync(cluster, 'utf8')));
  writeFileSync(join(work, 'buf.yaml'), 'version: v2\n');
}

/** Adds `Duration dns_jitter` to Cluster: a random delay that spreads DNS refreshes. */
function addDnsJitter(text) {
  const last = '  repeated string lrs_report_endpoint_metrics = 57;';
  return text.includes('dns_jitter')
    ? text
    : text.replace(last, `${last}\n\n  google.protobuf.Duration dns_jitter = 58;`);
}

/** Adds `optional bool ignore_empty` to StringRules, with the number that upstream gave it. */
function addIgnoreEmpty(text) {
  const numbers = { StringRules: 26 };
  return text.replace(/message (\w+) \{[\s\S]*?\n\}/g, (block, name) =>
    name in numbers && !block.includes('ignore_empty')
      ? block.replace(/\n\}$/, `\n    optional bool ignore_empty = ${numbers[name]};\n}`)
      : block,
  );
}

function generate() {
  rmSync(out, { recursive: true, force: true });
  const bin = join(root, 'node_modules/.bin');
  writeFileSync(
    join(work, 'buf.gen.yaml'),
    JSON.stringify({
      version: 'v2',
      plugins: [
        {
          local: join(bin, 'protoc-gen-es'),
          out,
          strategy: 'all',
          // JavaScript, because V8 keeps the text of what it loads, and the API's long comments then stand in the declarations
          // only; erasable syntax makes an enum an object of names, and its type a union of numbers.
          opt: ['target=js+dts', 'import_extension=js', 'erasable_syntax=true', 'json_types=false'],
          include_imports: true,
        },
      ],
    }),
  );
  const paths = roots.flatMap((folder) => ['--path', folder]);
  execFileSync(join(bin, 'buf'), ['generate', '.', ...paths], {
    cwd: work,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
}

/** Indexes of every generated file and of every message, so that registries need no list kept by hand. */
function index() {
  const files = [];
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.name.endsWith('_pb.js')) files.push(relative(out, path));
    }
  };
  walk(out);
  files.sort();
  const lines = files.map((file) => {
    const symbol = `file_${file.replace(/_pb\.js$/, '').replace(/[^A-Za-z0-9]/g, '_')}`;
    return { file, symbol };
  });
  const genFile = "import type { GenFile } from '@bufbuild/protobuf/codegenv2';\n";
  writeFileSync(
    join(out, 'files.js'),
    [
      ...lines.map(({ file, symbol }) => `import { ${symbol} } from './${file}';`),
      `export const files = [${lines.map((l) => l.symbol).join(', ')}];`,
      '',
    ].join('\n'),
  );
  writeFileSync(join(out, 'files.d.ts'), `${genFile}export declare const files: readonly GenFile[];\n`);
  const types = lines.flatMap(({ file, symbol }) =>
    [...readFileSync(join(out, file.replace(/\.js$/, '.d.ts')), 'utf8').matchAll(/@generated from message (\S+)/g)].map(
      ([, name]) => `  '${name}': () => import('./${file}').then((file) => file.${symbol}),`,
    ),
  );
  writeFileSync(join(out, 'type-files.js'), ['export const typeFiles = {', ...types, '};', ''].join('\n'));
  writeFileSync(
    join(out, 'type-files.d.ts'),
    `${genFile}export declare const typeFiles: Readonly<Record<string, () => Promise<GenFile>>>;\n`,
  );
}

if (!existsSync(deps)) {
  console.error(`protos: ${relative(root, deps)} is missing; run "npm ci" first`);
  process.exit(1);
}
stage();
generate();
index();
