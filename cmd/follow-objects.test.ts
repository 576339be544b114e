// What reaches the graph of a store, and when: nothing of half a world, then each object once, then changes.
import { expect, test } from 'vitest';
import type { AnyObject } from '../config/kinds/kinds.ts';
import type { ObjectChange } from '../config/sources/source.ts';
import { Store } from '../config/store.ts';
import { followObjects } from './follow-objects.ts';

const service = (name: string, version: number): ObjectChange => ({
  kind: 'Service',
  key: `a/${name}`,
  object: {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'a', resourceVersion: String(version) },
  } as AnyObject,
});
const gone = (name: string): ObjectChange => ({ kind: 'Service', key: `a/${name}`, object: undefined });

function following() {
  const store = new Store();
  const sinks = [store.sinkOf('one'), store.sinkOf('other')] as const;
  for (const sink of sinks) sink.status({ synced: false, connected: true, since: 0 });
  const published: (readonly string[])[] = [];
  const lazy: Iterable<ObjectChange>[] = [];
  followObjects(store, (changes) => lazy.push(changes));
  const lookAtPublished = () => {
    for (const changes of lazy.splice(0)) {
      published.push(
        [...changes].map(({ kind, key, object }) => `${kind} ${key} ${object?.metadata.resourceVersion ?? 'gone'}`),
      );
    }
    return published;
  };
  return { sinks, published: lookAtPublished };
}
const synced = { synced: true, connected: true, since: 0 };

test('before everything was read nothing is published, and nothing is kept but the last state of each object', () => {
  const { sinks, published } = following();
  const [one, other] = sinks;
  one.status(synced);
  for (let version = 0; version < 1_000; version++) one.apply([service('busy', version)]);
  one.apply([service('short-lived', 1), service('quiet', 1)]);
  one.apply([gone('short-lived')]);
  expect(published()).toEqual([]);
  other.apply([service('late', 1)]);
  other.status(synced);
  expect(published()).toEqual([['Service a/busy 999', 'Service a/quiet 1', 'Service a/late 1']]);
});

test('from then on each change is published, deletions too, and nothing again when a source is lost and comes back', () => {
  const { sinks, published } = following();
  for (const sink of sinks) sink.status(synced);
  expect(published()).toEqual([[]]);
  const [one, other] = sinks;
  one.apply([service('a', 1)]);
  other.status({ synced: false, connected: false, since: 0 });
  one.apply([gone('a'), service('b', 1)]);
  other.status(synced);
  expect(published()).toEqual([[], ['Service a/a 1'], ['Service a/a gone', 'Service a/b 1']]);
});
