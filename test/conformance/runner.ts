// What a conformance suite's module exports as `run`.

/** Number of cases by outcome. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Runs the cases of a folder, printing failing names and scores; `main.ts` prints the last line. `show` names cases by a
 * part of their name whose differences are printed in full.
 */
export type Runner = (folder: string, out: (line: string) => void, show?: string) => Promise<Outcome>;
