// Whom a rejected resource is told of, and in which words.
import { describe, expect, test } from 'vitest';
import type { Rejection } from '../../discovery/xds/subscription.ts';
import type { ResourceType } from '../../discovery/xds-types.ts';
import { rejectedObjects } from './rejected-objects.ts';
import { type RejectingStream, rejectedResources } from './rejected-resources.ts';

function stream(
  type: ResourceType,
  message: string,
  resources: Readonly<Record<string, readonly string[]>>,
): RejectingStream {
  const rejected = Object.entries(resources).map(([name, sources]) => ({ name, version: '', sources }));
  const rejection: Rejection = { nonce: '1', at: 0, message, resources: rejected };
  return { channels: new Map([[type, { sub: { rejection } }]]) };
}
const none: RejectingStream = { channels: new Map([['cluster', { sub: { rejection: undefined } }]]) };

/** All objects exist but those named `gone…`; the age follows from the number at the end. */
const find = (kind: string, key: string) => {
  const [namespace = '', name = ''] = key.split('/');
  const metadata = { namespace, name, creationTimestamp: `20${name.replace(/\D/g, '').padStart(2, '0')}` };
  return name.startsWith('gone') ? undefined : { kind, metadata };
};
const report = (...streams: readonly RejectingStream[]) => rejectedResources(streams, find);
const told = (...streams: readonly RejectingStream[]) => Object.fromEntries(rejectedObjects([report(...streams)]));

describe('objects', () => {
  test('of the mesh that exist are told, with the number of others', () => {
    const sources = [
      'Service a/b',
      'DestinationRule a/b (x.yaml:3)',
      'mesh-config mesh',
      'Sidecar a/gone',
      'EnvoyFilter a/c',
    ];
    const sentence = 'cluster c, which is made of this object and 1 other, is rejected by 1 proxy: why';
    expect(told(none, stream('cluster', 'why', { c: sources }))).toEqual({
      'DestinationRule a/b': sentence,
      'EnvoyFilter a/c': sentence,
    });
  });

  test('of a large resource are the likeliest ten: raw configuration, then the youngest', () => {
    const sources = [...Array.from({ length: 50 }, (_, i) => `VirtualService a/v${i}`), 'EnvoyFilter a/old1'];
    const found = told(stream('route', 'why', { '80': sources }));
    expect(Object.keys(found)).toEqual([
      'EnvoyFilter a/old1',
      ...Array.from({ length: 9 }, (_, i) => `VirtualService a/v${49 - i}`),
    ]);
    expect(found['VirtualService a/v49']).toContain('and at least 50 others,');
  });
});

test('resources without such objects are not reported', () => {
  expect(report(stream('cluster', 'why', { c: ['Service a/b', 'Sidecar a/gone'] }))).toEqual({
    resources: [],
    more: 0,
  });
});

describe('words', () => {
  const of = (...streams: readonly RejectingStream[]) => told(...streams)['Gateway a/g'];
  const gateway = (type: ResourceType, message: string, ...names: readonly string[]) =>
    stream(type, message, Object.fromEntries(names.map((name) => [name, ['Gateway a/g']])));

  test('count proxies and resources', () => {
    const one = gateway('listener', 'bad', 'l1', 'l2', 'l3');
    expect(of(one)).toBe('listener l1 is rejected by 1 proxy: bad; so are 2 more resources');
    expect(of(...Array.from({ length: 9 }, () => gateway('listener', 'bad', 'l')))).toBe(
      'listener l is rejected by 9 proxies: bad',
    );
    expect(of(...Array.from({ length: 99 }, () => gateway('listener', 'bad', 'l')))).toContain(
      'by at least 90 proxies:',
    );
  });

  test('hold nothing of the configuration itself, and are bounded', () => {
    const dump =
      'Error adding listener(s) l: Proto constraint validation failed (Listener.Address: is required): name: "l" token: "secret"';
    expect(of(gateway('listener', dump, 'l'))).toBe(
      'listener l is rejected by 1 proxy: Error adding listener(s) l: Proto constraint validation failed (Listener.Address: is required)',
    );
    const nested = 'Proto constraint validation failed (A (b: c): d): token: "secret"';
    expect(of(gateway('listener', nested, 'l'))).not.toContain('secret');
    expect(of(gateway('listener', 'first\nsecret', 'l'))).not.toContain('secret');
    expect(of(gateway('secret', 'whatever it says', 's'))).toBe('secret s is rejected by 1 proxy');
    expect(of(gateway('listener', 'x\u001b'.repeat(10_000), 'l'.repeat(10_000)))?.length).toBeLessThan(700);
  });
});

describe('rejections of several replicas', () => {
  const one = (name: string, ...sources: readonly string[]) => report(stream('listener', 'bad', { [name]: sources }));

  test('are added up', () => {
    const found = rejectedObjects([one('l1', 'Gateway a/g'), one('l1', 'Gateway a/g'), one('l0', 'Gateway a/g')]);
    expect(Object.fromEntries(found)).toEqual({
      'Gateway a/g': 'listener l0 is rejected by 1 proxy: bad; so is 1 more resource',
    });
    expect(rejectedObjects([one('l', 'Gateway a/g'), one('l', 'Gateway a/g')]).get('Gateway a/g')).toBe(
      'listener l is rejected by 2 proxies: bad',
    );
  });

  test('of one name that are made of different objects are told of each', () => {
    const found = rejectedObjects([one('l', 'Gateway a/g'), one('l', 'Gateway a/h')]);
    expect([...found.keys()]).toEqual(['Gateway a/g', 'Gateway a/h']);
    expect(found).toEqual(rejectedObjects([one('l', 'Gateway a/g', 'Sidecar a/gone'), one('l', 'Gateway a/h')]));
  });
});

test('the number of resources is bounded, and what is left out is told', () => {
  const many = Object.fromEntries(Array.from({ length: 1_234 }, (_, i) => [`c${i}`, [`DestinationRule a/r${i}`]]));
  const found = rejectedObjects([report(stream('cluster', 'why', many))]);
  expect(found.size).toBe(1_000);
  expect(found.get('DestinationRule a/r7')).toBe(
    'cluster c7 is rejected by 1 proxy: why (reports of rejections were cut: at least 200 rejected resources left out)',
  );
});
