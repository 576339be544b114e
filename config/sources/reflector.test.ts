// A reflector against scripted answers: resuming, expiry, servers that forget a kind or hang up at once, old servers.
import { expect, test } from 'vitest';
import type { KubeAnswer, KubeApi, WatchEnd, WatchEvent } from './kube-api.ts';
import { type ReflectorStatus, reflect } from './reflector.ts';

/** What the server does when it is next watched: events, then an end; `silent` says nothing more until we give up. */
interface Turn {
  readonly status?: number;
  readonly events?: readonly WatchEvent[];
  readonly end?: 'close' | 'break' | 'silent';
}

const object = (name: string, version: number): WatchEvent['object'] => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'n', uid: name, resourceVersion: String(version) },
});
const added = (name: string, version: number): WatchEvent => ({ type: 'ADDED', object: object(name, version) });
const deleted = (name: string, version: number): WatchEvent => ({ type: 'DELETED', object: object(name, version) });
const bookmark = (version: number, initial = false): WatchEvent => ({
  type: 'BOOKMARK',
  object: {
    metadata: {
      resourceVersion: String(version),
      ...(initial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    },
  },
});
const gone: WatchEvent = { type: 'ERROR', object: { code: 410 } };

/** Runs the turns; after the last one the reflector is stopped. */
async function play(
  turns: readonly Turn[],
  lists: readonly KubeAnswer[] = [],
  paths: readonly string[] = ['/api/v1/x'],
  builtin = false,
) {
  const stop = new AbortController();
  const [left, listsLeft] = [[...turns], [...lists]];
  const played = {
    urls: [] as string[],
    told: [] as string[],
    waits: [] as number[],
    idle: [] as number[],
    statuses: [] as ReflectorStatus[],
  };
  const api: Pick<KubeApi, 'send' | 'watch'> = {
    send: async (_method, path) => {
      played.urls.push(path);
      return listsLeft.shift() ?? { status: 500, body: {} };
    },
    watch: async (path, onEvents, signal, idle, onOpen): Promise<WatchEnd> => {
      played.urls.push(path);
      played.idle.push(idle);
      const turn = left.shift();
      if (turn === undefined) {
        stop.abort();
        throw new Error('stopped');
      }
      if (turn.status !== undefined) return { status: turn.status, message: 'no' };
      onOpen?.();
      onEvents(turn.events ?? []);
      if (signal.aborted || turn.end === 'break') throw new Error('cut');
      return { status: 200, message: turn.end === 'silent' ? 'nothing heard for a while' : 'the stream ended' };
    },
  };
  await reflect(
    {
      api: api as KubeApi,
      paths,
      builtin,
      sleep: async (ms) => void played.waits.push(ms),
      random: () => 0.5,
    },
    {
      changed: (raw, key) =>
        played.told.push(`${key}@${(raw as { metadata: { resourceVersion: string } }).metadata.resourceVersion}`),
      gone: (key) => played.told.push(`-${key}`),
      flush: () => undefined,
      status: (status) => played.statuses.push(status),
    },
    stop.signal,
  );
  return played;
}

test('reads the initial events, then resumes where it was cut', async () => {
  const { urls, told, statuses } = await play([
    { events: [added('a', 1), bookmark(5, true), added('b', 6)], end: 'break' },
    { events: [deleted('a', 7)] },
  ]);
  expect(told).toEqual(['n/a@1', 'n/b@6', '-n/a']);
  expect(urls[0]).toContain('sendInitialEvents=true');
  expect(urls[1]).toContain('resourceVersion=6');
  expect(urls[2]).toContain('resourceVersion=7');
  expect(statuses.map(({ connected }) => connected)).toEqual([true, false, true]);
  expect(statuses.every(({ synced }) => synced)).toBe(true);
});

test('what was cut before the end of the initial events is read anew, in pages and as a stream by turns, and is no sync', async () => {
  const { urls, told, statuses } = await play(
    [
      { events: [added('a', 1), added('b', 1), bookmark(3)], end: 'break' },
      { events: [added('a', 1), added('c', 2), bookmark(4, true)] },
    ],
    [{ status: 500, body: {} }],
  );
  expect(urls.map((url) => /sendInitialEvents|limit/.exec(url)?.[0])).toEqual([
    ...['sendInitialEvents', 'limit', 'sendInitialEvents', undefined],
  ]);
  expect(told).toEqual(['n/a@1', 'n/b@1', 'n/c@2', '-n/b']);
  expect(statuses.map(({ synced }) => synced)).toEqual([false, false, true]);
});

test('a server that never ends its initial events, since it does not know them, is read in pages', async () => {
  const list = { metadata: { resourceVersion: '9' }, kind: 'ConfigMapList', items: [object('a', 1)] };
  const { urls, idle, told, statuses } = await play(
    [{ events: [added('a', 1)], end: 'silent' }, { events: [added('b', 10)] }],
    [{ status: 200, body: list }],
  );
  expect(idle).toEqual([15_000, 120_000, 120_000]);
  expect(urls[2]).toContain('resourceVersion=9');
  expect(told).toEqual(['n/a@1', 'n/b@10']);
  expect(statuses.map(({ synced }) => synced)).toEqual([false, true, true]);
});

test('a stream that is silent after its initial events goes on as a watch, and was not lost', async () => {
  const { urls, idle, statuses } = await play([
    { events: [added('a', 1), bookmark(5, true)], end: 'silent' },
    { events: [added('b', 6)] },
  ]);
  expect(urls[1]).toContain('resourceVersion=5');
  expect(idle).toEqual([15_000, 120_000, 120_000]);
  expect(statuses.every(({ connected }) => connected)).toBe(true);
});

test('after 410 it reads anew: what is equal is not told again, what is missing is gone', async () => {
  const { told, statuses } = await play([
    { events: [added('a', 1), added('b', 2), bookmark(5, true)] },
    { events: [gone] },
    { events: [added('a', 1), added('c', 8), bookmark(9, true)] },
    { status: 410 },
    { events: [added('a', 1), added('c', 10), bookmark(11, true)] },
  ]);
  expect(told).toEqual(['n/a@1', 'n/b@2', 'n/c@8', '-n/b', 'n/c@10']);
  expect(statuses.every(({ synced, connected }) => synced && connected)).toBe(true);
});

test('an object replaced by one of the same name is told', async () => {
  const other = { type: 'ADDED', object: { metadata: { name: 'a', namespace: 'n', uid: 'z', resourceVersion: '1' } } };
  const { told } = await play([
    { events: [added('a', 1), bookmark(5, true)] },
    { status: 410 },
    { events: [other, bookmark(9, true)] },
  ]);
  expect(told).toEqual(['n/a@1', 'n/a@1']);
});

test('a kind that an answer says is unknown keeps its objects until that is certain', async () => {
  const known = { events: [added('a', 1), bookmark(5, true)] };
  const once = await play([known, { status: 404 }, known]);
  expect(once.told).toEqual(['n/a@1']);
  const always = await play([known, ...Array.from({ length: 4 }, () => ({ status: 404 }))]);
  expect(always.told).toEqual(['n/a@1', '-n/a']);
  expect(always.statuses.at(-1)).toEqual({ synced: true, connected: true, message: 'this kind is not installed' });
});

test.each<[string, readonly string[], readonly string[]]>([
  ['in its only version', ['/v1'], ['/v1', '/v1', '/v1', '/v1', '/v1', '/v1', '/v1', '/v1']],
  ['in any version', ['/v1', '/v1beta1'], ['/v1', '/v1', '/v1beta1', '/v1', '/v1beta1', '/v1', '/v1beta1', '/v1']],
])(
  'a kind of Kubernetes’ own that is not found %s keeps its objects, and is out of touch',
  async (_, paths, wanted) => {
    const { told, urls, statuses, waits } = await play(
      [
        { events: [added('a', 1), bookmark(5, true)] },
        ...Array.from({ length: 6 }, () => ({ status: 404 })),
        { events: [added('a', 1), added('b', 6), bookmark(7, true)] },
      ],
      [],
      paths,
      true,
    );
    expect(told).toEqual(['n/a@1', 'n/b@6']);
    expect(urls.map((url) => url.split('?')[0]).slice(0, 8)).toEqual(wanted);
    expect(statuses[1]).toEqual({ synced: true, connected: false, message: '404 no' });
    expect(statuses.slice(1, -2).some(({ connected }) => connected)).toBe(false);
    expect(waits).toContain(400);
  },
);

test('a kind of Kubernetes’ own that is not found at the start is not in sync, as a stream and in pages', async () => {
  const streamed = await play(
    [404, 404, 404].map((status) => ({ status })),
    [],
    ['/v1', '/v1beta1'],
    true,
  );
  expect(streamed.statuses.some(({ synced, connected }) => synced || connected)).toBe(false);
  const notFound = { status: 404, body: { message: 'nothing here' } };
  const paged = await play(
    [{ status: 400 }],
    [notFound, notFound, { status: 200, body: { metadata: { resourceVersion: '9' } } }],
    ['/v1'],
    true,
  );
  const lost = { synced: false, connected: false, message: '404 nothing here' };
  expect(paged.statuses).toEqual([lost, lost, { synced: true, connected: true, message: '' }]);
});

test.each<[string, number, Partial<ReflectorStatus>]>([
  ['does not answer as an API server', 404, { synced: false, connected: false }],
  ['is an API server', 200, { synced: true, message: 'this kind is not installed' }],
  ['is an API server that does not tell its version', 403, { synced: true, message: 'this kind is not installed' }],
])('that a kind is not installed is believed by what else is there: what %s', async (_, status, wanted) => {
  const answer = { status, body: {} };
  const start = await play([{ status: 404 }], [answer]);
  expect(start.urls[1]).toBe('/version');
  expect(start.statuses[0]).toMatchObject(wanted);
  const running = await play(
    [{ events: [added('a', 1), bookmark(5, true)] }, ...Array.from({ length: 4 }, () => ({ status: 404 }))],
    [answer],
  );
  expect(running.told).toEqual(status === 404 ? ['n/a@1'] : ['n/a@1', '-n/a']);
});

test('a kind that never was is in sync, and found in another version or later', async () => {
  const { urls, told, statuses } = await play(
    [{ status: 404 }, { status: 404 }, { status: 404 }, { events: [added('a', 1), bookmark(2, true)] }],
    [],
    ['/v1', '/v1beta1'],
  );
  expect(urls.map((url) => url.split('?')[0])).toEqual([
    ...['/v1', '/v1beta1', '/version', '/v1', '/v1beta1', '/v1beta1'],
  ]);
  expect(statuses[0]).toMatchObject({ synced: true });
  expect(told).toEqual(['n/a@1']);
});

test('refusals are no emptiness: it is not in sync, keeps trying, and waits longer each time', async () => {
  const { urls, statuses, waits } = await play([403, 403, 500, 429, 503].map((status) => ({ status })));
  // Always the same question, so that its answer can be told once.
  expect(urls.every((url) => url.includes('sendInitialEvents'))).toBe(true);
  expect(statuses.some(({ synced }) => synced)).toBe(false);
  expect(waits.slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
});

test('a server that hangs up at once is not asked in a tight loop', async () => {
  const ended = await play([{ events: [bookmark(1, true)] }, {}, {}, {}, {}]);
  expect(ended.waits).toEqual([100, 200, 400, 800]);
  const broken: Turn = { end: 'break' };
  const { waits } = await play([{ events: [bookmark(1, true)] }, broken, broken, broken, broken]);
  expect(waits.slice(0, 4)).toEqual([200, 400, 800, 1600]);
});

test('servers without streaming lists are read in pages', async () => {
  const item = (name: string) => ({ metadata: { name, namespace: 'n', uid: name, resourceVersion: '1' } });
  const page = (names: readonly string[], next: string): KubeAnswer => ({
    status: 200,
    body: {
      apiVersion: 'v1',
      kind: 'ConfigMapList',
      metadata: { resourceVersion: '9', continue: next },
      items: names.map(item),
    },
  });
  const { urls, told, statuses } = await play(
    [{ status: 400 }, { events: [deleted('a', 10)] }],
    [page(['a'], 'more'), { status: 410, body: {} }, page(['a', 'b'], 'more'), page(['c'], '')],
  );
  expect(urls[2]).toContain('continue=more');
  expect(told).toEqual(['n/a@1', 'n/b@1', 'n/c@1', '-n/a']);
  expect(urls.at(-2)).toContain('resourceVersion=9');
  expect(statuses[0]).toMatchObject({ synced: true });
});

test.each<[string, unknown]>([
  ['a page of HTML', { message: '<html>log in</html>' }],
  ['nothing', null],
  ['an object of something else', { kind: 'Status', metadata: {} }],
])('an answer that is no list empties nothing: %s', async (_, body) => {
  const { told, statuses } = await play(
    [{ events: [added('a', 1), bookmark(5, true)] }, { events: [gone] }, { status: 400 }, { status: 400 }],
    [
      { status: 200, body },
      { status: 200, body: { metadata: { resourceVersion: '9' }, items: [object('b', 8)] } },
    ],
  );
  expect(told).toEqual(['n/a@1', 'n/b@8', '-n/a']);
  expect(statuses).toContainEqual({
    synced: true,
    connected: false,
    message: 'the answer is no list of objects',
  });
});

test.each<[string, Turn]>([
  ['with an event', { events: [gone] }],
  ['with a status', { status: 410 }],
])(
  'a server that is back after a long outage, and says %s that our version is too old, is read at once',
  async (_, expired) => {
    const refused = Array.from({ length: 8 }, () => ({ status: 500 }));
    const { waits, told } = await play([
      { events: [added('a', 1), bookmark(5, true)], end: 'break' },
      ...refused,
      expired,
      { events: [added('a', 1), added('b', 7), bookmark(9, true)] },
    ]);
    expect(told).toEqual(['n/a@1', 'n/b@7']);
    expect(waits.slice(7)).toEqual([10_000, 10_000, 100]);
  },
);
