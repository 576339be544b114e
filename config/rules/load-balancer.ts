// Rules of load balancing: hashing, warm-up, localities.
import type { LocalityLbSetting, OutlierDetection, ZoneAwareLbSetting } from '../kinds/common.ts';
import type { ConsistentHash, LoadBalancerSettings } from '../kinds/destination-rule.ts';
import { checkDuration } from './durations.ts';
import { conflict, deprecated, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';

/** Checks how endpoints are chosen. Without outlier detection no endpoint is known to fail, and failover never happens. */
export function checkLoadBalancer(
  settings: LoadBalancerSettings | undefined,
  outlier: OutlierDetection | undefined,
  path: string,
): Findings {
  if (settings === undefined) return fine;
  return [
    ...checkLocality(settings.localityLbSetting, outlier, `${path}.localityLbSetting`),
    ...checkZoneAware(settings.zoneAwareLbSetting, outlier, `${path}.zoneAwareLbSetting`),
    ...checkConsistentHash(settings.consistentHash, `${path}.consistentHash`),
    ...checkWarmup(settings.warmup, `${path}.warmup`),
  ];
}

function checkConsistentHash(hash: ConsistentHash | undefined, path: string): Findings {
  if (hash === undefined) return fine;
  const cookie = hash.httpCookie;
  return [
    ...((hash.minimumRingSize ?? 0) === 0
      ? fine
      : deprecated(`${path}.minimumRingSize`, 'consistent hash MinimumRingSize is deprecated; use ringHash instead')),
    ...(cookie !== undefined && (cookie.name ?? '') === ''
      ? missing(`${path}.httpCookie.name`, 'name required for HttpCookie')
      : fine),
    ...each(cookie?.attributes, `${path}.httpCookie.attributes`, (attribute, at) =>
      (attribute.name ?? '') === '' ? missing(`${at}.name`, 'cookie attribute name cannot be empty') : fine,
    ),
    ...((hash.minimumRingSize ?? 0) !== 0 && (hash.maglev !== undefined || hash.ringHash !== undefined)
      ? conflict(`${path}.minimumRingSize`, 'only one of MinimumRingSize or Maglev/Ringhash can be specified')
      : fine),
    ...(hash.maglev === undefined ? fine : checkTableSize(hash.maglev.tableSize ?? 0, `${path}.maglev.tableSize`)),
  ];
}

/** Envoy's limit on a Maglev table (config.cluster.v3.Cluster.MaglevLbConfig). */
const largestTable = 5000011;

function checkTableSize(size: number, path: string): Findings {
  if (size === 0) return missing(path, 'tableSize must be set for maglev');
  if (size >= largestTable) return invalid(path, `tableSize must be less than ${largestTable} for maglev`);
  return isPrime(size) ? fine : invalid(path, 'tableSize must be a prime number for maglev');
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return true;
}

function checkWarmup(warmup: LoadBalancerSettings['warmup'], path: string): Findings {
  if (warmup === undefined) return fine;
  return [
    ...(warmup.duration === undefined
      ? missing(`${path}.duration`, 'duration is required')
      : checkDuration(warmup.duration, `${path}.duration`)),
    ...((warmup.minimumPercent ?? 0) > 100
      ? invalid(`${path}.minimumPercent`, 'minimumPercent value should be less than or equal to 100')
      : fine),
    ...(warmup.aggression !== undefined && warmup.aggression <= 0
      ? invalid(`${path}.aggression`, 'aggression should be greater than 0')
      : fine),
  ];
}

/** Labels that say a node's region, zone and sub-zone: failover by region excludes ranking by them. */
const topologyLabels: ReadonlySet<string> = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]);

function checkLocality(
  setting: LocalityLbSetting | undefined,
  outlier: OutlierDetection | undefined,
  path: string,
): Findings {
  if (setting === undefined) return fine;
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length > 0) {
    return conflict(path, "can not simultaneously specify 'distribute' and 'failover'");
  }
  return [
    ...checkPriorities(failover, failoverPriority, `${path}.failoverPriority`),
    ...checkOverlap(
      distribute.map((share) => share.from ?? ''),
      `${path}.distribute`,
    ),
    ...each(distribute, `${path}.distribute`, (share, at) => checkShares(share.to ?? {}, `${at}.to`)),
    ...checkFailover(failover, 'locality lb', `${path}.failover`),
    ...checkDetection(setting, outlier, path),
  ];
}

function checkZoneAware(
  setting: ZoneAwareLbSetting | undefined,
  outlier: OutlierDetection | undefined,
  path: string,
): Findings {
  if (setting === undefined) return fine;
  const { failover = [], failoverPriority = [] } = setting;
  return [
    ...checkPriorities(failover, failoverPriority, `${path}.failoverPriority`),
    ...checkFailover(failover, 'zone aware lb', `${path}.failover`),
    ...checkDetection(setting, outlier, path),
  ];
}

function checkPriorities(failover: readonly unknown[], labels: readonly string[], path: string): Findings {
  if (failover.length === 0) return fine;
  return each(labels, path, (label, at) =>
    topologyLabels.has(label)
      ? conflict(at, `can not simultaneously set 'failover' and topology label ${label} in 'failover_priority'`)
      : fine,
  );
}

function checkShares(to: Readonly<Record<string, number>>, path: string): Findings {
  const entries = Object.entries(to);
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
  return [
    ...entries.flatMap(([locality, weight]) =>
      weight >= 1 && weight <= 100 ? fine : invalid(`${path}.${locality}`, 'locality weight must be in range [1, 100]'),
    ),
    ...(total === 100 ? fine : invalid(path, `total locality weight ${total} != 100`)),
    ...checkOverlap(Object.keys(to), path),
  ];
}

function checkFailover(
  failover: readonly { readonly from?: string; readonly to?: string }[],
  what: string,
  path: string,
): Findings {
  return [
    ...each(failover, path, ({ from = '', to = '' }, at) => [
      ...(from === to ? invalid(at, `${what} failover settings must specify different regions`) : fine),
      ...(from.includes('/') || to.includes('/') ? invalid(at, `${what} failover only specify region`) : fine),
      ...(from.includes('*') || to.includes('*')
        ? invalid(at, `${what} failover region should not contain '*' wildcard`)
        : fine),
    ]),
  ];
}

function checkDetection(
  { failover = [], failoverPriority = [] }: LocalityLbSetting | ZoneAwareLbSetting,
  outlier: OutlierDetection | undefined,
  path: string,
): Findings {
  return outlier === undefined && failover.length + failoverPriority.length > 0
    ? doubtful(path, 'outlier detection policy must be provided for failover')
    : fine;
}

/** Checks localities `region/zone/sub-zone`, each part missing or `*` for all: none may lie inside another. */
function checkOverlap(localities: readonly string[], path: string): Findings {
  // Every locality before, and everything that one of them lies inside.
  const taken = new Set<string>();
  const around = new Set<string>();
  return localities.flatMap((locality) => {
    const problem = localityProblem(locality);
    if (problem !== undefined) return invalid(path, problem);
    const parts = locality.split('/');
    const own = parts.at(-1) === '*' ? parts.slice(0, -1) : parts;
    const enclosing = own.map((_, length) => own.slice(0, length).join('/'));
    const key = own.join('/');
    const overlaps = around.has(key) || [...enclosing, key].some((one) => taken.has(one));
    taken.add(key);
    for (const one of enclosing) around.add(one);
    return overlaps ? conflict(path, `locality ${locality} overlap with previous specified ones`) : fine;
  });
}

function localityProblem(locality: string): string | undefined {
  const stars = locality.split('*').length - 1;
  if (stars > 1 || (stars === 1 && !locality.endsWith('*'))) {
    return `locality ${locality} wildcard '*' number can not exceed 1 and must be in the end`;
  }
  const parts = locality.split('/');
  if (parts.length > 3) return `invalid locality ${locality}`;
  return locality !== '' && parts.includes('')
    ? `locality ${locality} must not contain empty region, zone or subzone`
    : undefined;
}
