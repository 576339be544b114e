// Finds which resources of a rejected response the client's message is about.
import type { EncodedResource } from '../resource.ts';
import type { Rejection, Subscription } from './subscription.ts';

/** A resource that a client rejected, and its sources where they could be told. */
export interface RejectedResource {
  readonly name: string;
  readonly version: string;
  /** Configuration objects that the resource was made from, as text, most specific ones first. */
  readonly sources: readonly string[];
}

/**
 * The resources a NACK message names. Envoy writes `Error adding/updating cluster(s) a: why, b: why` and the like;
 * what is common to all its messages is only that the name occurs whole. A response of one resource needs no name.
 */
export function rejectedOf(message: string, resources: readonly EncodedResource[]): readonly EncodedResource[] {
  if (resources.length === 1) return resources;
  const named = resources.filter(({ name }) => name !== '' && occursWhole(message, name));
  // `outbound|80||a.b` also occurs in `outbound|80||a.b.c`, and `80` in a line number: only whole words count.
  return named;
}

/**
 * What remains of a rejection when the client accepted a later response. A client of differences still lacks what it
 * rejected, unless that was sent again or is another thing by now.
 */
export function stillRejected(
  sub: Subscription,
  lookup: (name: string) => EncodedResource | undefined,
): Rejection | undefined {
  const { rejection, sent } = sub;
  if (rejection === undefined || sub.variant === 'sotw') return undefined;
  const again = new Set(sent?.resources.map(({ name }) => name));
  const resources = rejection.resources.filter(
    ({ name, version }) => !again.has(name) && lookup(name)?.version === version,
  );
  return resources.length === 0 ? undefined : { ...rejection, resources };
}

const partOfName = /[\w.|~:/-]/;

function occursWhole(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + name.length] ?? ' ';
    if (partOfName.test(before)) continue;
    // A colon or full stop may end the name in a sentence.
    if (!partOfName.test(after)) return true;
    if (/[.:]/.test(after) && !partOfName.test(text[at + name.length + 1] ?? ' ')) return true;
  }
  return false;
}
