// What a stream sends next, as a table.
import { describe, expect, test } from 'vitest';
import { type Holds, type Lane, nextPick } from './order.ts';

const lane = (type: Lane['type'], what: Partial<Lane> = {}): Lane => ({
  type,
  answer: false,
  updates: false,
  removals: false,
  awaiting: false,
  ...what,
});
const free: Holds = { newClusters: false, young: false, overdue: false };
const updates = { updates: true };
const removals = { removals: true };

describe('order', () => {
  test.each<[string, readonly Lane[], Partial<Holds>, string]>([
    ['nothing owed', [lane('cluster'), lane('listener')], {}, 'nothing'],
    ['answers before pushes', [lane('cluster', updates), lane('route', { answer: true })], {}, 'route all'],
    ['clusters before endpoints', [lane('cluster', updates), lane('endpoint', updates)], {}, 'cluster updates'],
    ['endpoints before listeners', [lane('endpoint', updates), lane('listener', updates)], {}, 'endpoint all'],
    ['listeners before routes', [lane('listener', updates), lane('route', updates)], {}, 'listener all'],
    ['routes wait for new clusters', [lane('cluster'), lane('route', updates)], { newClusters: true }, 'nothing'],
    [
      'endpoints do not wait for new clusters',
      [lane('endpoint', updates), lane('route', updates)],
      { newClusters: true },
      'endpoint all',
    ],
    ['routes before removal', [lane('cluster', removals), lane('route', updates)], {}, 'route all'],
    ['removal waits for the routes', [lane('cluster', removals), lane('route', { awaiting: true })], {}, 'nothing'],
    [
      'but not for ever',
      [lane('cluster', removals), lane('route', { awaiting: true })],
      { overdue: true },
      'cluster removals',
    ],
    ['removal waits on a young stream', [lane('cluster', removals)], { young: true }, 'nothing'],
    ['removal at last', [lane('cluster', removals), lane('listener'), lane('route')], {}, 'cluster removals'],
    ['removed listeners go with the updates', [lane('listener', removals)], {}, 'listener all'],
  ])('%s', (_name, lanes, holds, expected) => {
    const pick = nextPick(lanes, { ...free, ...holds });
    expect(pick === undefined ? 'nothing' : `${pick.type} ${pick.part}`).toBe(expected);
  });
});
