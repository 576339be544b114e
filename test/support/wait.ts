// Waiting for something to become true, with a message that says what was waited for.

export interface WaitOptions {
  /** Milliseconds until giving up; 15 s by default. */
  readonly timeoutMs?: number;
  /** Milliseconds between two tries; 25 by default. */
  readonly intervalMs?: number;
  /** More to say when it did not happen, such as the end of a log. */
  readonly detail?: () => string | Promise<string>;
}

/** Resolves after this many milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Calls `attempt` until it gives something other than `undefined` or `false`, and returns that. What it throws counts as
 * "not yet"; the last thing thrown is the cause of the error at the end.
 */
export async function waitFor<T>(
  what: string,
  attempt: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 15_000;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  while (true) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) break;
    await sleep(options.intervalMs ?? 25);
  }
  const detail = (await options.detail?.()) ?? '';
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  throw new Error(`waited ${timeoutMs} ms for ${what}${reason}${detail === '' ? '' : `\n${detail}`}`, { cause });
}
