// What a conformance suite's module exports as `run`.

/** Number of cases by outcome. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs the cases of a folder, printing failing names and scores; `main.ts` prints the last line. */
export type Runner = (folder: string, out: (line: string) => void) => Promise<Outcome>;
