// Rules of VirtualService.
import type { VirtualService } from '../kinds/virtual-service.ts';
import { type Findings, fine } from './finding.ts';

/** What is wrong or doubtful in a VirtualService. */
export function checkVirtualService(_object: VirtualService): Findings {
  return fine;
}
