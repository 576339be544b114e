// Rules of durations: Envoy's timers count milliseconds.
import { millisecondsOf, parseDuration } from '../duration.ts';
import { type Findings, fine, invalid } from './finding.ts';

/** Checks that a duration, if there is one, is of whole milliseconds, one or more. What is no duration the schema refuses. */
export function checkDuration(text: string | undefined, path: string): Findings {
  if (text === undefined) return fine;
  const duration = parseDuration(text);
  if (duration === undefined) return fine;
  if (millisecondsOf(duration) < 1) return invalid(path, 'duration must be greater than 1ms');
  return duration.nanos % 1e6 === 0 ? fine : invalid(path, 'only durations to ms precision are supported');
}
