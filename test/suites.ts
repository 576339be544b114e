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
  | 'last line'
  /**
   * As `last line`, of a suite that is held to a score and ends with 0 where it reaches it: its failures are then known
   * ones, counted apart.
   */
  | 'last line, held to a score';

export interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  readonly counting: Counting;
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

export const suites: readonly Suite[] = [
  { name: 'format and lint', command: ['biome', 'check', '.'], counting: 'exit code' },
  { name: 'types', command: ['tsc', '--noEmit'], counting: 'exit code' },
  { name: 'vitest', command: vitest, counting: 'vitest report', needs: ['Envoy', 'the API server'] },
];

/** Whether what the suite reads is there. */
export function isPresent(suite: Suite): boolean {
  return suite.reads === undefined || existsSync(join(root, suite.reads));
}
