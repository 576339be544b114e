// The table of what `npm test` runs, in order. To add a suite, add a row.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureEnvoy } from '../cmd/envoy-install.ts';
import { ensureKubeAssets } from './support/kube-assets.ts';

/** How a suite says what came of it. */
export type Counting =
  /** Its exit code is one check. */
  | 'exit code'
  /** It writes a vitest JSON report to `vitestReport`. */
  | 'vitest report'
  /** Its last line is `N passed, N failed` with an optional `, N skipped`. */
  | 'last line';

export interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  readonly counting: Counting;
  /**
   * Failures that the suite is known to have, for one that is held to a score: this many do not fail the run, one more
   * does. May only become smaller.
   */
  readonly knownFailures?: number;
  /** Folder that the suite reads; where it is absent the suite is left out, and counted as one skipped. */
  readonly reads?: string;
  /** The suite uses these; it waits until they are there. */
  readonly needs?: readonly (keyof typeof parts)[];
  /** 20 minutes by default. */
  readonly timeoutMs?: number;
}

export const root = join(import.meta.dirname, '..');
export const vitestReport = join(root, '.cache', 'vitest.json');

/** Real parts that are fetched or built once, while the first suites run. */
export const parts = {
  Envoy: ensureEnvoy,
  'the API server': ({ onProgress }: { readonly onProgress: (message: string) => void }) =>
    ensureKubeAssets(onProgress),
} as const;

/** Tests that make network namespaces end in `.root.test.ts`; they run as root, and in CI, where being root is part of it. */
export const runsRootTests = process.getuid?.() === 0 || (process.env['CI'] ?? '') !== '';

const vitest: readonly string[] = [
  ...['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`],
  ...(runsRootTests ? [] : ['--exclude', '**/*.root.test.ts']),
];

/** A conformance suite of ../shared/suites, and how many of its cases are known to fail. */
function conformance(name: string, knownFailures: number, needs: Suite['needs'] = []): Suite {
  const reads = `../shared/suites/${name}`;
  const command = ['node', 'test/conformance/main.ts', name, reads];
  return { name: `conformance ${name}`, command, counting: 'last line', knownFailures, reads, needs };
}

export const suites: readonly Suite[] = [
  { name: 'format and lint', command: ['biome', 'check', '.'], counting: 'exit code' },
  { name: 'types', command: ['tsc', '--noEmit'], counting: 'exit code' },
  { name: 'vitest', command: vitest, counting: 'vitest report', needs: ['Envoy', 'the API server'] },
  {
    name: 'npm start -- --check',
    command: ['node', 'cmd/main.ts', 'up', '--check', '--state', '.cache/up'],
    counting: 'last line',
    needs: ['Envoy'],
  },
  conformance('validation', 4, ['the API server']),
  conformance('xds', 1),
  conformance('inject', 0),
];

/** Whether what the suite reads is there. */
export function isPresent(suite: Suite): boolean {
  return suite.reads === undefined || existsSync(join(root, suite.reads));
}
