// The health of a source: what counts as in sync, since when it is out of touch, and that nothing is told twice.
import { expect, test } from 'vitest';
import { followHealth } from './kube-health.ts';
import { type SourceStatus, troubleOf } from './source.ts';

test('the whole is in sync with its last kind, and out of touch since its first', () => {
  let now = 1;
  const told: SourceStatus[] = [];
  const last = () => told.at(-1);
  const report = followHealth(
    ['Pod', 'Node'],
    () => now,
    (status) => told.push(status),
  );
  expect(last()).toMatchObject({ synced: false, connected: false, since: 1, message: 'Node, Pod' });
  now = 2;
  report('Pod', { synced: true, connected: true, message: '' });
  expect(last()).toMatchObject({ synced: false, connected: false, since: 1, message: 'Node' });
  now = 3;
  report('Node', { synced: false, connected: false, message: '403 no' });
  report('Node', { synced: false, connected: false, message: '403 no' });
  expect(told.length).toBe(3);
  expect(last()?.parts?.['Node']).toEqual({ synced: false, connected: false, since: 1, message: '403 no' });
  now = 4;
  report('Node', { synced: true, connected: true, message: 'this kind is not installed' });
  expect(last()).toMatchObject({ synced: true, connected: true, since: 4 });
  expect(last()?.message).toBeUndefined();
  now = 5;
  report('Pod', { synced: true, connected: false, message: 'cut' });
  now = 6;
  report('Node', { synced: true, connected: false, message: 'cut' });
  expect(last()).toMatchObject({ synced: true, connected: false, since: 5, message: 'Node, Pod: cut' });
  report('Pod', { synced: true, connected: true, message: '' });
  expect(last()).toMatchObject({ connected: false, since: 6, message: 'Node: cut' });
});

test('trouble is bounded', () => {
  const part = (message: string) => ({ synced: false, connected: false, since: 0, message });
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`Kind${i}`, part(`message ${i}`)]));
  expect(troubleOf(many).length).toBe(1_000);
  expect(troubleOf({ A: part('') })).toBe('A');
});
