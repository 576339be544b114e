// What the comparison with Istio's resources takes for equal: only what has no order may come in another.
import { expect, test } from 'vitest';
import type { ResourceJson } from '../../discovery/dump.ts';
import { compareResources, type ResourceSet } from './xds-compare.ts';

const nothing: ResourceSet = { clusters: [], listeners: [], routes: [], endpoints: [] };
const named = (...names: readonly string[]) => names.map((name) => ({ name }));
const backwards = (set: ResourceSet, type: keyof ResourceSet): ResourceSet => ({
  ...set,
  [type]: set[type].toReversed(),
});

const routes = (virtualHosts: readonly object[]): ResourceSet => ({
  ...nothing,
  routes: [{ name: '80', virtualHosts } as unknown as ResourceJson],
});
const host = (name: string, more: object = {}) => ({ name, domains: [name], ...more });
const listeners = (filterChains: readonly object[]): ResourceSet => ({
  ...nothing,
  listeners: [{ name: 'l', filterChains } as unknown as ResourceJson],
});
const endpoints = (...of: readonly object[]): ResourceSet => ({
  ...nothing,
  endpoints: [{ clusterName: 'c', endpoints: of } as unknown as ResourceJson],
});
const query = (...names: readonly string[]) =>
  routes([host('a', { routes: [{ match: { queryParameters: named(...names) } }] })]);

test.each(['clusters', 'listeners', 'routes'] as const)('%s have no order', (type) => {
  const set = { ...nothing, [type]: named('a', 'b') };
  expect(compareResources(set, backwards(set, type))).toEqual([]);
});

test('endpoints and query parameters have no order', () => {
  const of = (...ports: readonly number[]) => endpoints({ lbEndpoints: ports.map((port) => ({ port })) });
  expect(compareResources(of(1, 2), of(2, 1))).toEqual([]);
  expect(compareResources(query('a', 'b'), query('b', 'a'))).toEqual([]);
});

const chain = (name: string, ...filters: readonly string[]) => ({ name, filters: named(...filters) });
test.each<[what: string, want: ResourceSet, got: ResourceSet, level: string]>([
  ['virtual hosts', routes([host('a'), host('b')]), routes([host('b'), host('a')]), 'routes'],
  ['domains', routes([host('a', { domains: ['a', 'b'] })]), routes([host('a', { domains: ['b', 'a'] })]), 'routes'],
  [
    'routes',
    routes([host('a', { routes: [{ match: { prefix: '/' } }, { match: { path: '/' } }] })]),
    routes([host('a', { routes: [{ match: { path: '/' } }, { match: { prefix: '/' } }] })]),
    'routes',
  ],
  ['filter chains', listeners([chain('a'), chain('b')]), listeners([chain('b'), chain('a')]), 'filter chains'],
  ['filters', listeners([chain('a', 'x', 'y')]), listeners([chain('a', 'y', 'x')]), 'filter chains'],
  ['localities', endpoints({ priority: 0 }, { priority: 1 }), endpoints({ priority: 1 }, { priority: 0 }), 'whole'],
])('%s have an order', (_what, want, got, level) => {
  expect(compareResources(want, want)).toEqual([]);
  expect(compareResources(want, got).map((difference) => difference.level)).toContain(level);
});

test('what is too much is told as well as what is missing', () => {
  const set = { ...endpoints({}), clusters: named('a') };
  const more = { ...set, clusters: named('a', 'b'), endpoints: [...set.endpoints, { clusterName: 'd' }] };
  expect(compareResources(set, more).map(({ what }) => what)).toEqual(['cluster extra: b', 'endpoint d: extra']);
  expect(compareResources(more, set).map(({ what }) => what)).toContain('endpoint d: missing');
  // Cases without a full server say nothing of endpoints.
  expect(compareResources(nothing, endpoints({}))).toEqual([]);
});
