// Rules of destinations and of their weights, for HTTP, TLS and TCP routes.
import type { Destination } from '../kinds/virtual-service.ts';
import { each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkPortNumber, checkSubsetName, checkWildcardDomain } from './names.ts';

interface Weighted {
  readonly destination?: Destination;
  readonly weight?: number;
}

/** Checks a destination, if there is one. */
export function checkDestination(destination: Destination | undefined, path: string): Findings {
  if (destination === undefined) return fine;
  const { host, subset, port } = destination;
  return [
    ...(host === '*'
      ? invalid(`${path}.host`, `invalid destination host ${host}`)
      : checkWildcardDomain(host, `${path}.host`)),
    ...(subset === undefined || subset === '' ? fine : checkSubsetName(subset, `${path}.subset`)),
    ...(port === undefined ? fine : checkPortNumber(port.number, `${path}.port.number`)),
  ];
}

/** Checks destinations with their weights. */
export function checkWeighted(routes: readonly Weighted[] | undefined, path: string): Findings {
  return [
    ...each(routes, path, ({ destination, weight }, at) => [
      ...(destination === undefined
        ? missing(`${at}.destination`, 'destination is required')
        : checkDestination(destination, `${at}.destination`)),
      ...((weight ?? 0) < 0 ? invalid(`${at}.weight`, `weight ${weight} < 0`) : fine),
    ]),
    ...checkTotalWeight(routes ?? [], path),
  ];
}

function checkTotalWeight(routes: readonly Weighted[], path: string): Findings {
  const total = routes.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  return routes.length > 1 && total === 0 ? invalid(path, 'total destination weight = 0') : fine;
}
