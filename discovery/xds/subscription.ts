// What one stream wants of one resource type, what it has, and what it is owed: the state both protocol variants share.
import type { EncodedResource } from '../resource.ts';
import type { RejectedResource } from './rejection.ts';
import type { Variant } from './request.ts';

/**
 * What the client has of a name it is owed: the resource we sent, a version it told us, `nothing`, or `asked` where it
 * has nothing and waits to be told even that the resource does not exist.
 */
export type Have = EncodedResource | string;

/** The client has nothing under the name. */
export const nothing = '';
/** The client has nothing under the name and must get an answer about it. No content hash looks like this. */
export const asked = '?';

/** Version of what the client has; never equal to a resource's version where it has nothing. */
export function versionOf(have: Have): string {
  return typeof have === 'string' ? have : have.version;
}

/** Names owed, with what the client has of each. May be shared between streams: copy before changing. */
export type Owed = ReadonlyMap<string, Have>;

/** No names; one set for all who want none. */
export const noNames: ReadonlySet<string> = new Set();

/** No resources. */
export const noResources: readonly EncodedResource[] = Object.freeze([]);

/** Nothing owed. */
export const owesNothing: Owed = new Map();

/** A response as the books keep it. */
export interface SentRecord {
  readonly nonce: string;
  readonly version: string;
  /** Milliseconds of the server's clock. */
  readonly at: number;
  /** What was in it, so that a rejection can be traced to its resource; nothing once it was accepted. */
  readonly resources: readonly EncodedResource[];
}

/** A rejected response. */
export interface Rejection {
  readonly nonce: string;
  readonly at: number;
  readonly message: string;
  readonly resources: readonly RejectedResource[];
}

/** One stream's state for one type. Changed only by the functions of this folder. */
export interface Subscription {
  readonly typeUrl: string;
  readonly variant: Variant;
  wildcard: boolean;
  /** Names subscribed to. Streams share equal sets: replaced as a whole, never changed. */
  names: ReadonlySet<string>;
  owed: Owed;
  /** A response is due even if it is empty. */
  mustAnswer: boolean;
  /** Version of the whole that the client had before its first response; empty: nothing is known. */
  hadAll: string;
  sent: SentRecord | undefined;
  /** Nonce, version and time of the last response that the client accepted. */
  acked: Omit<SentRecord, 'resources'> | undefined;
  rejection: Rejection | undefined;
  /** Responses sent that are neither accepted nor rejected yet. */
  awaiting: boolean;
}

/** How a type is served (contract 1.7, 1.9). */
export interface TypeRules {
  /** A first request without names means everything. */
  readonly wildcard: boolean;
  /** A state-of-the-world response must hold everything that is subscribed, because what is absent is deleted. */
  readonly complete: boolean;
  /** Whether a resource that went away is reported as removed. Endpoints go with their cluster. */
  readonly removals: boolean;
}

/** What a request changed. */
export interface Step {
  /** `none`: a request of its own; the others say what its nonce means. */
  readonly nonce: 'none' | 'accepted' | 'rejected' | 'stale';
  /** The stream's first request for the type, or one that starts the type over. */
  readonly first: boolean;
  /** Names to answer about. */
  readonly answer: readonly string[];
  /** Those that became part of the subscription's names. */
  readonly joined: readonly string[];
  /** Those that left it. */
  readonly dropped: readonly string[];
  /** The client asked for everything just now. */
  readonly everything: boolean;
  /** Whether the type is still subscribed at all. */
  readonly open: boolean;
  /** Versions the client says it has, by name. */
  readonly have: ReadonlyMap<string, string>;
  /** Version of everything of the type together, where the client says that it has that; else empty. */
  readonly haveAll: string;
}

/** A subscription before its first request. */
export function newSubscription(typeUrl: string, variant: Variant): Subscription {
  return {
    typeUrl,
    variant,
    wildcard: false,
    names: noNames,
    owed: owesNothing,
    mustAnswer: false,
    hadAll: '',
    sent: undefined,
    acked: undefined,
    rejection: undefined,
    awaiting: false,
  };
}

/** Replaces a subscription's names by what a request makes of them. */
export function changeNames(sub: Subscription, joined: readonly string[], dropped: readonly string[]): void {
  if (joined.length === 0 && dropped.length === 0) return;
  const names = new Set(sub.names);
  for (const name of joined) names.add(name);
  for (const name of dropped) names.delete(name);
  sub.names = names.size === 0 ? noNames : names;
}

/** Whether the subscription covers a name. */
export function wants(sub: Subscription, name: string): boolean {
  return sub.wildcard || sub.names.has(name);
}

/** Owes a name more; keeps what is known of the client unless `replace`. */
export function owe(sub: Subscription, name: string, have: Have, replace = false): void {
  if (sub.owed.has(name) && !replace) return;
  const copy = new Map(sub.owed);
  copy.set(name, have);
  sub.owed = copy;
}

/** Owes many names at once; an earlier entry wins, because it says what the client really has. */
export function oweAll(sub: Subscription, more: Owed): void {
  if (more.size === 0) return;
  if (sub.owed.size === 0) {
    sub.owed = more;
    return;
  }
  const merged = new Map(sub.owed);
  for (const [name, have] of more) {
    const before = merged.get(name);
    // Having nothing is weaker than waiting to be told.
    if (before === undefined || (before === nothing && have === asked)) merged.set(name, have);
  }
  sub.owed = merged;
}

/** Owes nothing any more under the given names. */
export function settle(sub: Subscription, names: Iterable<string>): void {
  if (sub.owed.size === 0) return;
  const rest = new Map(sub.owed);
  for (const name of names) rest.delete(name);
  sub.owed = rest.size === 0 ? owesNothing : rest;
}
