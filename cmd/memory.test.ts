// That memory is given back once after a burst, when everything rests, and that collecting takes little of the time.
import { expect, test } from 'vitest';
import { Memory } from './memory.ts';

const mib = 1024 * 1024;

/** A process whose clock, load and heap are set by hand; a collection takes 100 ms and leaves `live`. */
function processOf() {
  const state = { now: 0, busy: 0, held: 0, live: 0, collections: 0 };
  const memory = new Memory({
    now: () => state.now,
    busy: () => state.busy,
    held: () => state.held,
    collect: () => {
      state.collections++;
      state.now += 100;
      state.held = state.live;
    },
  });
  /** Looks `times`, a quarter of a second apart. */
  const look = (times: number): void => {
    for (let i = 0; i < times; i++) {
      state.now += 250;
      memory.look();
    }
  };
  return { state, memory, look };
}

test('a burst is followed by one collection, once the process has rested', () => {
  const { state, look } = processOf();
  Object.assign(state, { held: 200 * mib, live: 150 * mib, busy: 1 });
  look(10);
  expect(state.collections).toBe(0);
  state.busy = 0.01;
  look(3);
  expect(state.collections).toBe(0);
  look(1);
  expect(state.collections).toBe(1);
  look(100);
  expect(state.collections).toBe(1);
});

test('one busy moment makes it wait anew', () => {
  const { state, look } = processOf();
  state.held = 200 * mib;
  look(3);
  state.busy = 0.5;
  look(1);
  state.busy = 0;
  look(3);
  expect(state.collections).toBe(0);
  look(1);
  expect(state.collections).toBe(1);
});

test('little that came since is not worth a collection, and much is', () => {
  const { state, look } = processOf();
  Object.assign(state, { held: 300 * mib, live: 200 * mib });
  look(4);
  state.held = 235 * mib;
  look(20);
  expect(state.collections).toBe(1);
  state.held = 241 * mib;
  look(20);
  expect(state.collections).toBe(2);
});

test('whatever is allocated, collections take at most a twentieth of the time', () => {
  const { state, look } = processOf();
  state.live = 10 * mib;
  for (let i = 0; i < 600; i++) {
    state.held += 100 * mib;
    look(1);
  }
  expect(state.collections).toBeGreaterThan(50);
  expect((state.collections * 100) / state.now).toBeLessThanOrEqual(0.05);
});
