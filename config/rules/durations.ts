// Rules of durations: Envoy's timers count milliseconds.
import { millisecondsOf, parseDuration } from '../duration.ts';
import { type Findings, fine, invalid } from './finding.ts';

/** Checks that a duration, if there is one, is a millisecond or more. What is no duration is the schema's to refuse. */
export function checkDuration(text: string | undefined, path: string): Findings {
  if (text === undefined) return fine;
  const duration = parseDuration(text);
  if (duration === undefined || millisecondsOf(duration) >= 1) return fine;
  return invalid(path, 'duration must be greater than 1ms');
}
