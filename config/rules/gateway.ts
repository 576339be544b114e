// Rules of Gateway.
import type { Gateway } from '../kinds/gateway.ts';
import { type Findings, fine } from './finding.ts';

/** What is wrong or doubtful in a Gateway. */
export function checkGateway(_object: Gateway): Findings {
  return fine;
}
