// What a replica tells the others during a rotation of the root: which step it is at, who lags there, and what it asks them.
import type { Rotation, RotationStep } from './rotation.ts';
import type { Holder } from './rotation-readiness.ts';

/** Exactly one step of exactly one rotation, as a replica has taken it up. */
export interface Place extends Omit<Rotation, 'held'> {
  /** The roots that it hands out (`TrustBundle.version`). */
  readonly bundleVersion: string;
  /** Who signs (`Signer.id`). */
  readonly signerId: string;
}

export interface ReplicaReport extends Place {
  /** When it was made, by the replica's own clock (RFC 3339): for people, and to make each report differ from the last. */
  readonly at: string;
  /** In this step for its minimum time, and no connected proxy lags. */
  readonly ready: boolean;
  /** How many of its proxies lag, and the first few of them. */
  readonly lagging: number;
  readonly first: readonly string[];
  /** The leader asks: who has looked at his proxies after he read this? Empty for others. */
  readonly poll: string;
  /** The polls that were read before looking. */
  readonly answers: readonly string[];
  /** Holders that lag here as far as known: did another give them the certificate that the step asks for? */
  readonly asks: readonly Holder[];
  /** What others asked and this one did issue, as `digestOf`. */
  readonly issued: readonly string[];
}

/** Most entries of each list of a report, and characters of each name: some 10 kB at most, so that 25 fit into one object. */
export const reportLimits = { first: 5, answers: 5, asks: 50, issued: 100, name: 160 } as const;
const textLimit = 64 * 1024;

/** The same place, or not. */
export function isSamePlace(a: Place, b: Place): boolean {
  return a.step === b.step && a.since === b.since && a.bundleVersion === b.bundleVersion && a.signerId === b.signerId;
}

/** A report as one line of JSON, cut to the limits. */
export function formatReport(report: ReplicaReport): string {
  const { first, answers, asks, issued } = report;
  return JSON.stringify({
    ...report,
    first: first.slice(0, reportLimits.first).map((name) => name.slice(0, reportLimits.name)),
    answers: answers.slice(0, reportLimits.answers),
    asks: asks.slice(0, reportLimits.asks),
    issued: issued.slice(0, reportLimits.issued),
  });
}

/** Reads what `formatReport` wrote; undefined for anything else. */
export function parseReport(text: string): ReplicaReport | undefined {
  if (text.length > textLimit) return undefined;
  try {
    const value = JSON.parse(text) as Partial<Record<keyof ReplicaReport, unknown>> | null;
    const isReport =
      isStep(value?.step) &&
      [value.since, value.lagging].every((each) => typeof each === 'number') &&
      [value.bundleVersion, value.signerId, value.at, value.poll].every((each) => typeof each === 'string') &&
      typeof value.ready === 'boolean' &&
      [value.first, value.answers, value.issued].every(areTexts) &&
      Array.isArray(value.asks) &&
      value.asks.every((each: Partial<Holder> | null) => areTexts([each?.identity, each?.holder]));
    return isReport ? (value as ReplicaReport) : undefined;
  } catch {
    return undefined;
  }
}

function isStep(value: unknown): value is RotationStep {
  return value === 'steady' || value === 'trust-both' || value === 'sign-new';
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
