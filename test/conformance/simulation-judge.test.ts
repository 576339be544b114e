// What counts as right for a call and for a probe, and how verdicts add up.
import { expect, test } from 'vitest';
import { judgeSample, outcomeOf, type Sample, scoreLines } from './simulation-judge.ts';
import type { Call, Fate } from './traffic.ts';

const call: Call = { address: '10.0.0.1', port: 80, path: '/', tls: 'plaintext' };
const full: Fate = { listenerMatched: 'l', filterChainMatched: 'f', routeMatched: 'r', clusterMatched: 'c' };
const probe: Sample = { name: 'p', call, want: full, full, strictRoutes: true };
const asserted = (want: Sample['want']): Sample => ({ name: 'c', call, want, full });

test.each<[what: string, sample: Sample, got: Fate, wrong: number, stricter: number]>([
  ['the same', probe, full, 0, 0],
  ['an empty field for an absent one', probe, { ...full, error: '' }, 0, 0],
  ['another cluster of a probe', probe, { ...full, clusterMatched: 'd' }, 1, 0],
  ['an error', probe, { listenerMatched: 'l', error: 'e' }, 2, 2],
  ['other names inside', probe, { ...full, filterChainMatched: 'g', routeMatched: 's' }, 0, 2],
  ['what nobody asserted', asserted({ clusterMatched: 'c' }), { ...full, listenerMatched: 'm' }, 0, 1],
  ['what was asserted', asserted({ routeMatched: 'r' }), { ...full, routeMatched: 's' }, 1, 0],
  ['all that was not asserted', asserted({ clusterMatched: 'c', strictMatch: true }), full, 3, 0],
  ['other filters', { ...probe, extra: { networkFilters: ['a'] } }, { ...full, extra: { networkFilters: [] } }, 0, 1],
  [
    'the same filters',
    { ...probe, extra: { httpFilters: ['a'] } },
    { ...full, extra: { httpFilters: ['a'], hostRewrite: '' } },
    0,
    0,
  ],
  ['filters that were not written down', probe, { ...full, extra: { networkFilters: ['a'] } }, 0, 0],
])('%s', (_what, sample, got, wrong, stricter) => {
  const verdict = judgeSample(sample, got);
  expect([verdict.wrong.length, verdict.stricter.length]).toEqual([wrong, stricter]);
});

test.each<[want: string, full: Fate, extra?: Fate['extra']]>([
  ['no route matched', { error: 'no route matched' }],
  ['inbound', { clusterMatched: 'inbound|80||' }],
  ['inbound', { clusterMatched: 'InboundPassthroughCluster' }],
  ['passed through or dropped', { clusterMatched: 'BlackHoleCluster' }],
  ['redirect', {}, { redirect: {} }],
  ['outbound', { clusterMatched: 'outbound|80||a.com' }],
])('the outcome %s', (want, of, extra) => {
  expect(outcomeOf({ ...probe, full: of, ...(extra === undefined ? {} : { extra }) })).toBe(want);
});

test('a case is right with all its calls, and outcomes weigh alike', () => {
  const right = judgeSample(probe, full);
  const wrong = judgeSample(probe, { ...full, clusterMatched: 'd' });
  const refused: Sample = { ...probe, full: { error: 'e' } };
  const cases = new Map([
    ['worlds-feature-a', [right, wrong]],
    ['b', [right, right, judgeSample(refused, { error: 'e' })]],
    ['c', [judgeSample(probe, { ...full, routeMatched: 's' })]],
  ]);
  const lines = scoreLines(cases).map((line) => line.trim().replace(/ +/g, ' '));
  expect(lines).toEqual([
    'right strictly',
    'configurations 2/3 66.7 % 1/3 33.3 %',
    "upstream's 2/2 100.0 % 1/2 50.0 %",
    'written for the suite 0/1 0.0 % 0/1 0.0 %',
    "calls of upstream's tests 0/0 0.0 % 0/0 0.0 %",
    'probes 5/6 83.3 % 4/6 66.7 %',
    'outbound 4/5 80.0 % 3/5 60.0 %',
    'e 1/1 100.0 % 1/1 100.0 %',
    'average of these outcomes 90.00 %',
  ]);
});
