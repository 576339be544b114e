// What the streams of a view have in common, made once: what they are owed, what that comes to, which names they want.
import type { Directory } from '../translate/translator.ts';
import type { Plan } from './plan.ts';
import { nothing, type Owed, type Subscription } from './subscription.ts';

const minShared = 16;
const maxLooks = 4;

/** Belongs to one view. */
export class Sharing {
  #everything: { readonly directory: Directory; readonly owed: Owed } | undefined = undefined;
  #askedFor: WeakMap<ReadonlySet<string>, Owed> | undefined = undefined;
  #plans: WeakMap<Owed, Plan> | undefined = undefined;

  /** Everything listed, owed to a client that has nothing: one map for all of them. */
  everything(directory: Directory): Owed {
    if (this.#everything?.directory !== directory) {
      const owed = new Map([...directory.keys()].map((name) => [name, nothing] as const));
      this.#everything = { directory, owed };
    }
    return this.#everything.owed;
  }

  /** Names that a client asks for and has nothing of: one map for all that share the set. */
  askedFor(names: ReadonlySet<string>, make: () => Owed): Owed {
    const known = this.#askedFor?.get(names);
    if (known !== undefined) return known;
    const owed = make();
    this.#askedFor ??= new WeakMap();
    this.#askedFor.set(names, owed);
    return owed;
  }

  /** The plan of an owed map, made once for all who are owed the very same map, until `dropPlans`. */
  planOf(owed: Owed, make: () => Plan): Plan {
    const known = this.#plans?.get(owed);
    if (known !== undefined) return known;
    const plan = make();
    this.#plans ??= new WeakMap();
    this.#plans.set(owed, plan);
    return plan;
  }

  /** Lets go of what only helps streams that begin within moments of each other. */
  forget(): void {
    this.#everything = undefined;
    this.#askedFor = undefined;
    this.dropPlans();
  }

  /** A resource of the view is another one now. */
  dropPlans(): void {
    this.#plans = undefined;
  }
}

/**
 * A set equal to a subscription's names that another one holds already: most proxies of a class want the same. Else its
 * own, with the texts that `sharedText` gives where most names have only just joined.
 */
export function sharedNames(
  sub: Subscription,
  others: Iterable<{ readonly sub: Subscription }>,
  joined: number,
  sharedText: (name: string) => string,
): ReadonlySet<string> {
  const { names } = sub;
  if (names.size < minShared) return names;
  let looks = 0;
  for (const other of others) {
    if (looks >= maxLooks) break;
    if (other.sub === sub || other.sub.names.size !== names.size) continue;
    looks++;
    if (other.sub.names === names || isSubset(names, other.sub.names)) return other.sub.names;
  }
  return joined * 2 > names.size ? new Set([...names].map(sharedText)) : names;
}

function isSubset(names: ReadonlySet<string>, of: ReadonlySet<string>): boolean {
  for (const name of names) if (!of.has(name)) return false;
  return true;
}
