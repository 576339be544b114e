// Addresses of ServiceEntries over a store: who gets them, who keeps them, and that two do not get the same.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { keyOf } from '../../config/object.ts';
import type { KubeAnswer } from '../../config/sources/kube-api.ts';
import { Store } from '../../config/store.ts';
import { rest } from '../rest.ts';
import { EntryAddresses } from './entry-addresses.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const store = new Store();
  const sink = store.sinkOf('test');
  const bodies: unknown[] = [];
  const logged: string[] = [];
  const counts = { written: 0, failed: 0 };
  const state = {
    answer: { status: 200, body: {} } as KubeAnswer | Error,
    address: (name: string) => `240.240.0.${name.length}`,
  };
  const put = (name: string, addresses?: readonly { value: string; host: string }[]): void => {
    const metadata = { name, namespace: 'ns', resourceVersion: '7' };
    const status = addresses === undefined ? {} : { status: { addresses } };
    const object = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata,
      spec: { hosts: [name] },
      ...status,
    };
    sink.apply([{ kind: 'ServiceEntry', key: keyOf(metadata), object: object as unknown as ServiceEntry }]);
  };
  const addresses = new EntryAddresses({
    api: {
      send: async (method, path, body) => {
        bodies.push(`${method} ${path.split('/').slice(-3).join('/')}`, body);
        if (state.answer instanceof Error) throw state.answer;
        return state.answer;
      },
    },
    store,
    addressesOf: ({ status, metadata }) =>
      status?.addresses === undefined ? [{ value: state.address(metadata.name), host: metadata.name }] : undefined,
    published: async () => undefined,
    sleep: rest,
    random: () => 0,
    now: () => Date.now(),
    count: (outcome) => counts[outcome]++,
    log: (message) => logged.push(message),
  });
  return { put, addresses, bodies, logged, counts, state };
}
const settle = (ms = 1_000) => vi.advanceTimersByTimeAsync(ms);

test('only a leader writes, once each, with the version that it saw', async () => {
  const { put, addresses, bodies, counts } = world();
  put('a');
  put('has', [{ value: '240.240.9.9', host: 'has' }]);
  await settle();
  expect(bodies).toEqual([]);
  addresses.lead(true);
  await settle();
  const status = { addresses: [{ value: '240.240.0.1', host: 'a' }] };
  expect(bodies).toEqual(['PATCH serviceentries/a/status', { metadata: { resourceVersion: '7' }, status }]);
  put('a', status.addresses);
  addresses.lead(false);
  put('b');
  await settle();
  expect([bodies.length, counts.written]).toEqual([2, 1]);
  await addresses[Symbol.asyncDispose]();
});

test('an address that was just written is given to nobody else until it is seen', async () => {
  const { put, addresses, bodies, state } = world();
  addresses.lead(true);
  put('a');
  put('b');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(bodies.length).toBe(2);
  state.address = () => '240.240.0.2';
  put('a', [{ value: '240.240.0.1', host: 'a' }]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(bodies[3]).toMatchObject({ status: { addresses: [{ value: '240.240.0.2', host: 'b' }] } });
  await addresses[Symbol.asyncDispose]();
});

test('somebody who takes them out again and again is not answered without end', async () => {
  const { put, addresses, counts } = world();
  addresses.lead(true);
  put('a');
  for (let second = 0; second < 600; second++) {
    const before = counts.written;
    await vi.advanceTimersByTimeAsync(1_000);
    if (counts.written > before) put('a');
  }
  expect(counts.written).toBeGreaterThan(5);
  expect(counts.written).toBeLessThan(20);
  await addresses[Symbol.asyncDispose]();
});

test('conflicts and missing objects wait for the watch, refusals and broken connections are tried again', async () => {
  const { put, addresses, bodies, state, counts, logged } = world();
  addresses.lead(true);
  for (const status of [404, 409]) {
    state.answer = { status, body: {} };
    put('a');
    await settle();
  }
  expect([bodies.length, counts]).toEqual([4, { written: 0, failed: 0 }]);
  state.answer = { status: 403, body: { message: 'forbidden' } };
  put('a');
  await settle();
  state.answer = new Error('refused');
  await settle();
  state.answer = { status: 200, body: {} };
  await settle(5_000);
  expect(counts.written).toBe(1);
  expect(logged).toContain(
    'the addresses of ServiceEntry ns/a cannot be written: the API server answered 403 forbidden',
  );
  expect(logged).toContain('the addresses of ServiceEntry ns/a cannot be written: refused');
  await addresses[Symbol.asyncDispose]();
});
