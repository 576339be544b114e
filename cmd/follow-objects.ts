// Hands on the objects of a store: all of them once everything was read, and from then on what changes.
import type { ObjectChange } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';

/**
 * Calls `publish` with all objects when every source has read everything once, and with each change after that: half a
 * world must reach nobody. Until then nothing is collected, however long a source takes and however often an object changes
 * meanwhile: the store holds the last state of each. What is handed over may be gone through later, but once only.
 */
export function followObjects(
  store: Pick<Store, 'synced' | 'entries' | 'subscribe' | 'onStatus'>,
  publish: (changes: Iterable<ObjectChange>) => void,
): void {
  let live = false;
  store.subscribe((changes) => {
    if (live) publish(changes);
  });
  store.onStatus(() => {
    if (live || !store.synced) return;
    live = true;
    publish(store.entries());
  });
}
