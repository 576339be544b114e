// Endpoints grouped by locality, and the groups' weights and priorities as seen from a client's place.
import type { LocalityLbSetting } from '../../../config/kinds/common.ts';
import { compareText } from '../../../config/object.ts';
import type { Locality } from '../../model/locality.ts';
import type { EncodedEndpoint } from './encoded-endpoint.ts';
import { type EndpointPolicy, type EndpointView, topologyLabels } from './endpoint-view.ts';

/** An endpoint with the weight that it has in its group. */
export interface Member {
  readonly encoded: EncodedEndpoint;
  readonly weight: number;
}

/** Endpoints of one locality and priority. */
export interface LocalityGroup {
  readonly locality: Locality;
  readonly priority: number;
  /** Sum of the members' weights, or the share that distribution gives. */
  readonly weight: number;
  readonly members: readonly Member[];
}

/** Groups by locality, sorted by it, members in their given order. */
export function localityGroups(members: readonly Member[]): readonly LocalityGroup[] {
  const byLocality = new Map<string, Member[]>();
  for (const member of members) {
    const { region, zone, subzone } = member.encoded.endpoint.locality;
    const key = `${region}/${zone}/${subzone}`;
    const group = byLocality.get(key);
    if (group === undefined) byLocality.set(key, [member]);
    else group.push(member);
  }
  return [...byLocality]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, group]) => groupOf(group[0]?.encoded.endpoint.locality as Locality, 0, group));
}

/** Applies a policy: explicit shares, else failover by labels or by distance. */
export function rankedGroups(
  groups: readonly LocalityGroup[],
  policy: EndpointPolicy,
  view: EndpointView,
): readonly LocalityGroup[] {
  const { locality: setting, failover } = policy;
  if (setting === undefined) return groups;
  if ((setting.distribute ?? []).length > 0) {
    return view.locality === undefined ? groups : distributed(groups, setting, view.locality);
  }
  if (!failover) return groups;
  const byLabel = setting.failoverPriority ?? [];
  const ranked = byLabel.length > 0 ? byLabels(groups, byLabel, view.labels ?? {}) : groups;
  const byRegion = setting.failover ?? [];
  const distant = byLabel.length === 0 || byRegion.length > 0;
  return distant && view.locality !== undefined ? byDistance(ranked, byRegion, view.locality) : compacted(ranked);
}

/** The first endpoint of the groups that go first, as the only one; of several localities that of the first. */
export function firstOf(groups: readonly LocalityGroup[]): readonly LocalityGroup[] {
  const [group] = groups.filter(({ members }) => members.length > 0).sort((a, b) => a.priority - b.priority);
  return group === undefined ? [] : [groupOf(group.locality, 0, group.members.slice(0, 1))];
}

function groupOf(locality: Locality, priority: number, members: readonly Member[]): LocalityGroup {
  return { locality, priority, weight: members.reduce((sum, { weight }) => sum + weight, 0), members };
}

/** Whether a locality is within a pattern such as `region/*` or `region/zone`. */
function localityMatches(locality: Locality, pattern: string): boolean {
  const [region = '', zone = '', subzone = ''] = pattern.split('/');
  const part = (own: string, wanted: string): boolean => wanted === '*' || wanted === '' || own === wanted;
  if (region === '*') return true;
  if (locality.region !== region) return false;
  if (zone === '*' || zone === '') return true;
  return locality.zone === zone && part(locality.subzone, subzone);
}

/** The first rule for the client's locality gives shares; what no share names gets nothing. */
function distributed(
  groups: readonly LocalityGroup[],
  setting: LocalityLbSetting,
  own: Locality,
): readonly LocalityGroup[] {
  const rule = setting.distribute?.find((candidate) => localityMatches(own, candidate?.from ?? ''));
  if (rule === undefined) return groups;
  const weights = new Map<LocalityGroup, number>();
  const shares = Object.entries(rule.to ?? {}).sort(([a], [b]) => specificity(b) - specificity(a) || compareText(a, b));
  for (const [pattern, share] of shares) {
    const matching = groups.filter((group) => !weights.has(group) && localityMatches(group.locality, pattern));
    const total = matching.reduce((sum, group) => sum + group.weight, 0);
    for (const group of matching) weights.set(group, Math.ceil((group.weight * share) / total));
  }
  return groups.map((group) => {
    const weight = weights.get(group);
    if (weight === undefined) return { ...group, members: [] };
    return weight > 0 ? { ...group, weight } : group;
  });
}

function specificity(pattern: string): number {
  return pattern.split('/').filter((part) => part !== '' && part !== '*').length;
}

/** Splits each locality's group by the first label in which an endpoint differs from the client. */
function byLabels(
  groups: readonly LocalityGroup[],
  priorities: readonly string[],
  own: Readonly<Record<string, string>>,
): readonly LocalityGroup[] {
  return groups.flatMap((group) => {
    const split = new Map<number, Member[]>();
    for (const member of group.members) {
      const rank = labelRank(topologyLabels(member.encoded.endpoint), priorities, own);
      split.set(rank, [...(split.get(rank) ?? []), member]);
    }
    return [...split].sort(([a], [b]) => a - b).map(([rank, members]) => groupOf(group.locality, rank, members));
  });
}

function labelRank(
  labels: Readonly<Record<string, string>>,
  priorities: readonly string[],
  own: Readonly<Record<string, string>>,
): number {
  const differs = priorities.findIndex((priority) => {
    const equals = priority.indexOf('=');
    const label = equals < 0 ? priority : priority.slice(0, equals);
    const wanted = equals < 0 ? (own[priority] ?? '') : priority.slice(equals + 1);
    return (labels[label] ?? '') !== wanted;
  });
  return differs < 0 ? 0 : priorities.length - differs;
}

/** Ranks by distance: same sub-zone, zone, region, then the region to fail over to, then the rest. */
function byDistance(
  groups: readonly LocalityGroup[],
  failover: NonNullable<LocalityLbSetting['failover']>,
  own: Locality,
): readonly LocalityGroup[] {
  const target = failover.find((rule) => rule?.from === own.region)?.to;
  const steps = 5;
  return compacted(
    groups.map((group) => {
      const distance = distanceOf(own, group.locality);
      const beyond = distance === 3 && target !== undefined && group.locality.region !== target ? 4 : distance;
      return { ...group, priority: group.priority * steps + beyond };
    }),
  );
}

function distanceOf(a: Locality, b: Locality): number {
  if (a.region !== b.region) return 3;
  if (a.zone !== b.zone) return 2;
  return a.subzone === b.subzone ? 0 : 1;
}

/** Priorities without gaps, as Envoy demands. */
function compacted(groups: readonly LocalityGroup[]): readonly LocalityGroup[] {
  const present = [...new Set(groups.map((group) => group.priority))].sort((a, b) => a - b);
  return groups.map((group) => ({ ...group, priority: present.indexOf(group.priority) }));
}
