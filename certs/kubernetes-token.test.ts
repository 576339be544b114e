// Kubernetes tokens: local checks against watched objects, TokenReview where that cannot decide, and what is refused.
import { generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { authenticateBy } from './caller.ts';
import { fixedKeys } from './jwks.ts';
import { type ClusterTokens, kubernetesAuthenticator, type ReviewedToken } from './kubernetes-token.ts';
import { isRefused, refused } from './refusal.ts';
import { tokenReview } from './token-review.ts';

const issuer = 'https://kubernetes.default.svc';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pod = { uid: 'pod-1', serviceAccount: 'web' };
const reviewed: ReviewedToken = {
  username: 'system:serviceaccount:default:web',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:default'],
  podName: 'web-abc',
  podUid: 'pod-1',
};
const identity = {
  trustDomain: 'cluster.local',
  namespace: 'default',
  serviceAccount: 'web',
  podName: 'web-abc',
  podUid: 'pod-1',
  clusterId: 'one',
};

/** A cluster whose watch and reviews the test decides. */
function setUp(options: { readonly review?: 'accepts' | 'refuses' | 'fails' | 'none'; readonly local?: boolean } = {}) {
  const pods = new Map([['default/web-abc', pod]]);
  const accounts = new Map([['default/web', { uid: 'sa-1' }]]);
  let reviews = 0;
  let time = Date.UTC(2030, 0, 1);
  const review = async () => {
    reviews += 1;
    // An API server takes its time.
    await sleep(20);
    if (options.review === 'fails') {
      throw new Error('connection refused');
    }
    return options.review === 'refuses' ? refused('the API server does not accept the token') : reviewed;
  };
  const watched = {
    pod: (namespace: string, name: string) => pods.get(`${namespace}/${name}`),
    serviceAccount: (namespace: string, name: string) => accounts.get(`${namespace}/${name}`),
  };
  const local = { issuer, findKeys: fixedKeys([{ keyId: 'k', key: keys.publicKey }]), watched };
  const cluster: ClusterTokens = {
    clusterId: 'one',
    ...(options.local === false ? {} : { local }),
    ...(options.review === 'none' ? {} : { review }),
  };
  const authenticate = authenticateBy([
    kubernetesAuthenticator({
      audiences: ['istio-ca'],
      trustDomain: () => 'cluster.local',
      cluster: (id) => (id === undefined || id === 'one' ? cluster : undefined),
      now: () => time,
    }),
  ]);
  return {
    ...{ pods, accounts },
    reviews: () => reviews,
    wait: (milliseconds: number) => {
      time += milliseconds;
    },
    ask: async (token: string, clusterId?: string) => {
      const result = await authenticate({
        secure: true,
        authorization: [`Bearer ${token}`],
        ...(clusterId === undefined ? {} : { clusterId }),
      });
      return isRefused(result) ? result.reason : result.identities;
    },
  };
}

describe('checked locally', () => {
  test('no review is asked for, however many calls', async () => {
    const { ask, reviews } = setUp();
    for (let i = 0; i < 5; i++) {
      expect(await ask(tokenOf(), i % 2 === 0 ? '' : 'one')).toEqual([identity]);
    }
    expect(reviews()).toBe(0);
  });

  test('a token is refused as soon as its pod is deleted', async () => {
    const { ask, pods, reviews } = setUp({ review: 'refuses' });
    expect(await ask(tokenOf())).toEqual([identity]);
    pods.clear();
    expect(await ask(tokenOf())).toMatch(/does not accept/);
    expect(reviews()).toBe(1);
    // A flood with the dead token does not become a flood of reviews.
    await ask(tokenOf());
    expect(reviews()).toBe(1);
  });

  test('without reviews, what is not watched does not exist', async () => {
    const { ask, pods } = setUp({ review: 'none' });
    pods.clear();
    expect(await ask(tokenOf())).toMatch(/does not exist/);
  });

  test('a pod that the watch has not seen yet is the API server’s to vouch for, each time', async () => {
    const { ask, pods, reviews } = setUp();
    pods.clear();
    expect(await ask(tokenOf())).toEqual([identity]);
    expect(await ask(tokenOf())).toEqual([identity]);
    expect(reviews()).toBe(2);
  });

  const account = { namespace: 'default', serviceaccount: { name: 'web', uid: 'sa-1' } };
  const ofPod = { ...account, pod: { name: 'web-abc', uid: 'pod-1' } };
  const node = { name: 'node', uid: 'node-1' };
  const secret = { name: 'bound', uid: 'secret-1' };

  test.each([
    ['a Secret', { ...account, secret }],
    ['a Secret besides a pod', { ...ofPod, secret }],
    ['a Node', { ...account, node }],
    ['what Kubernetes may think of', { ...ofPod, later: { name: 'x', uid: 'x-1' } }],
  ])('a token that is bound to %s is the API server’s to vouch for, each time', async (_, bound) => {
    const token = tokenOf({ 'kubernetes.io': bound });
    const accepting = setUp();
    expect(await accepting.ask(token)).toEqual([identity]);
    expect(await accepting.ask(token)).toEqual([identity]);
    expect(accepting.reviews()).toBe(2);
    // As when the object was deleted.
    expect(await setUp({ review: 'refuses' }).ask(token)).toMatch(/does not accept/);
    expect(await setUp({ review: 'none' }).ask(token)).toMatch(/not watched/);
    expect(await setUp({ review: 'fails' }).ask(token)).toMatch(/cannot be asked/);
  });

  test('the node that a pod’s token tells, and when the kubelet is to renew it, need no review', async () => {
    const { ask, reviews } = setUp({ review: 'refuses' });
    expect(await ask(tokenOf({ 'kubernetes.io': { ...ofPod, node, warnafter: 1 } }))).toEqual([identity]);
    const { podName, podUid, ...withoutPod } = identity;
    expect(await ask(tokenOf({ 'kubernetes.io': account }))).toEqual([withoutPod]);
    expect(reviews()).toBe(0);
  });

  test('a token that has ended needs no review, whatever it is bound to', async () => {
    const { ask, reviews, wait } = setUp();
    wait(3600_000);
    expect(await ask(tokenOf({ 'kubernetes.io': { ...account, secret } }))).toMatch(/expired/);
    expect(reviews()).toBe(0);
  });

  test('many calls at once with one token ask once', async () => {
    const { ask, pods, reviews } = setUp();
    pods.clear();
    await Promise.all(Array.from({ length: 20 }, () => ask(tokenOf())));
    expect(reviews()).toBe(1);
  });

  test.each([
    [
      'replaced pod',
      (s: ReturnType<typeof setUp>) => s.pods.set('default/web-abc', { ...pod, uid: 'pod-2' }),
      /replaced/,
    ],
    [
      'pod of another account',
      (s: ReturnType<typeof setUp>) => s.pods.set('default/web-abc', { ...pod, serviceAccount: 'x' }),
      /replaced/,
    ],
    [
      'replaced service account',
      (s: ReturnType<typeof setUp>) => s.accounts.set('default/web', { uid: 'sa-2' }),
      /replaced/,
    ],
    ['expired', (s: ReturnType<typeof setUp>) => s.wait(3600_000), /expired/],
  ])('refused: %s', async (_, change, reason) => {
    const cluster = setUp();
    expect(await cluster.ask(tokenOf())).toEqual([identity]);
    change(cluster);
    expect(await cluster.ask(tokenOf())).toMatch(reason);
    expect(cluster.reviews()).toBe(0);
  });

  test.each([
    ['wrong audience', { aud: ['https://kubernetes.default.svc'] }, /another audience/],
    ['not bound to a service account', { 'kubernetes.io': undefined }, /not bound/],
    ['bound to another account than its subject', { sub: 'system:serviceaccount:default:admin' }, /not bound/],
    ['bound to another namespace', { sub: 'system:serviceaccount:kube-system:web' }, /not bound/],
  ])('refused: %s', async (_, change, reason) => {
    expect(await setUp().ask(tokenOf(change))).toMatch(reason);
  });
});

describe('reviewed', () => {
  test('tokens of issuers that are not known, for a few seconds per answer', async () => {
    const { ask, reviews, wait } = setUp({ local: false });
    expect(await ask(tokenOf())).toEqual([identity]);
    expect(await ask('opaque')).toEqual([identity]);
    await ask(tokenOf());
    expect(reviews()).toBe(2);
    wait(10_000);
    await ask(tokenOf());
    expect(reviews()).toBe(3);
  });

  test('a token with the right issuer and a foreign signature is the API server’s to refuse', async () => {
    const { ask, reviews } = setUp({ review: 'refuses' });
    expect(await ask(tokenOf({}, other.privateKey))).toMatch(/does not accept/);
    expect(reviews()).toBe(1);
    expect(await setUp({ review: 'none' }).ask(tokenOf({}, other.privateKey))).toMatch(/not signed/);
  });

  test('an API server that cannot be asked refuses', async () => {
    expect(await setUp({ review: 'fails', local: false }).ask(tokenOf())).toMatch(/cannot be asked/);
  });

  test('a cluster that is not known refuses', async () => {
    expect(await setUp().ask(tokenOf(), 'two')).toMatch(/no cluster is known/);
  });
});

describe('TokenReview', () => {
  const user = { username: reviewed.username, groups: reviewed.groups };
  const answerOf = (status: object, code = 201) =>
    tokenReview(async () => ({ status: code, body: { status } }))('t', ['istio-ca']);

  test('sends token and audiences, and reads user and pod', async () => {
    const sent: unknown[] = [];
    const post = async (path: string, body: unknown) => {
      sent.push(path, body);
      const extra = {
        'authentication.kubernetes.io/pod-name': ['web-abc'],
        'authentication.kubernetes.io/pod-uid': ['pod-1'],
      };
      return {
        status: 201,
        body: { status: { authenticated: true, audiences: ['istio-ca'], user: { ...user, extra } } },
      };
    };
    expect(await tokenReview(post)('t', ['istio-ca'])).toEqual(reviewed);
    expect(sent).toEqual([
      '/apis/authentication.k8s.io/v1/tokenreviews',
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 't', audiences: ['istio-ca'] } },
    ]);
  });

  test.each([
    ['not authenticated', { authenticated: false, user }],
    ['no status', {}],
    ['another audience', { authenticated: true, audiences: ['other'], user }],
    ['no audience', { authenticated: true, user }],
  ])('refuses: %s', async (_, status) => {
    expect(isRefused(await answerOf(status))).toBe(true);
  });

  test('an error of the API server is no answer', async () => {
    await expect(answerOf({}, 403)).rejects.toThrow('403');
  });
});

function tokenOf(change: object = {}, key = keys.privateKey): string {
  const seconds = Date.UTC(2030, 0, 1) / 1000;
  const claims = {
    iss: issuer,
    sub: 'system:serviceaccount:default:web',
    aud: ['istio-ca'],
    iat: seconds,
    nbf: seconds,
    exp: seconds + 3600,
    'kubernetes.io': {
      namespace: 'default',
      pod: { name: 'web-abc', uid: 'pod-1' },
      serviceaccount: { name: 'web', uid: 'sa-1' },
    },
    ...change,
  };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', kid: 'k' })}.${encode(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
