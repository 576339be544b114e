// A place in a random world, and the dice by which edits fill it. Few names, so that edits meet each other.
import { randomOf } from '../random.ts';
import type { changeOf } from '../world.ts';

/** An object as a manifest has it. */
export type RawObject = Parameters<typeof changeOf>[0] & { readonly [field: string]: unknown };

/** Chance, for one edit. */
export interface Dice {
  /** One of them. */
  readonly pick: <T>(items: readonly T[]) => T;
  /** True with this probability. */
  readonly chance: (p: number) => boolean;
  /** A whole number below `n`. */
  readonly below: (n: number) => number;
}

/** A place in the world that edits fill with one variant or another. */
export interface Slot {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly make: (dice: Dice) => Readonly<Record<string, unknown>>;
}

export const namespaces = ['red', 'blue', 'istio-system'] as const;
export const appNamespaces = ['red', 'blue'] as const;
export const services = ['a', 'b', 'c', 'd'] as const;
export const versions = ['v1', 'v2'] as const;
const creationTimes = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] as const;

/** What objects may say of who sees them. */
export const exportTo = [['*'], ['.'], ['~'], ['blue'], ['red', '.']] as const;

/** The object of a slot by the dice of a seed; undefined where the edit removes it. */
export function variantOf(slot: Slot, seed: number): RawObject | undefined {
  const random = randomOf(seed);
  const dice: Dice = {
    pick: (items) => items[Math.floor(random() * items.length)] as (typeof items)[number],
    chance: (p) => random() < p,
    below: (n) => Math.floor(random() * n),
  };
  if (seed % 5 === 0) return undefined;
  const { metadata, ...body } = slot.make(dice);
  const base = { name: slot.name, namespace: slot.namespace, creationTimestamp: dice.pick(creationTimes) };
  return { apiVersion: slot.apiVersion, kind: slot.kind, metadata: { ...base, ...(metadata as object) }, ...body };
}

/** One to three of these ports, no number or name twice. */
export function uniquePorts<T extends { readonly port?: number; readonly number?: number; readonly name: string }>(
  dice: Dice,
  all: readonly T[],
): readonly T[] {
  const found: T[] = [];
  for (let n = 1 + dice.below(3); n > 0; n--) {
    const next = dice.pick(all);
    if (!found.some((port) => (port.port ?? port.number) === (next.port ?? next.number) || port.name === next.name))
      found.push(next);
  }
  return found;
}

/** The slot of a mesh object, by its spec. */
export const istio = (kind: string, namespace: string, name: string, spec: (dice: Dice) => object): Slot => ({
  ...{ kind, namespace, name },
  apiVersion: kind.endsWith('Authentication') ? 'security.istio.io/v1' : 'networking.istio.io/v1',
  make: (dice) => ({ spec: spec(dice) }),
});
