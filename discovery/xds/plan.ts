// Compares what a client is owed with what there is now: what to send, what to report as gone, what needs nothing.
import type { EncodedResource } from '../resource.ts';
import { asked, type Have, nothing, type Owed, type TypeRules, versionOf } from './subscription.ts';

/** What owed names come to. */
export interface Plan {
  /** Resources that differ from what the client has. */
  readonly updates: readonly EncodedResource[];
  /** Those of `updates` of which the client has nothing. */
  readonly additions: number;
  /** Names that the client asked for and that do not exist. */
  readonly missing: readonly string[];
  /** Names that the client has and that went away, with what it has. */
  readonly gone: ReadonlyMap<string, Have>;
  /** Names of which nothing is known, because their resource could not be computed: owed until it can be. */
  readonly unknown: ReadonlyMap<string, Have>;
}

/** The present resource of a name; `unknown` where it could not be computed even once. */
export type Lookup = (name: string) => EncodedResource | 'unknown' | undefined;

/** Nothing to send. */
export const emptyPlan: Plan = { updates: [], additions: 0, missing: [], gone: new Map(), unknown: new Map() };

/** Makes the plan. `lookup` gives a name's present resource. */
export function planOf(owed: Owed, rules: TypeRules, lookup: Lookup): Plan {
  if (owed.size === 0) return emptyPlan;
  const updates: EncodedResource[] = [];
  const missing: string[] = [];
  const gone = new Map<string, Have>();
  const unknown = new Map<string, Have>();
  let additions = 0;
  for (const [name, have] of owed) {
    const resource = lookup(name);
    if (resource === 'unknown') unknown.set(name, have);
    else if (resource !== undefined) {
      if (resource.version === versionOf(have)) continue;
      updates.push(resource);
      if (have === nothing || have === asked) additions++;
    } else if (have === asked) missing.push(name);
    else if (have !== nothing && rules.removals) gone.set(name, have);
  }
  return { updates, additions, missing, gone, unknown };
}
