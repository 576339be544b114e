// Callers with a Kubernetes service-account token: checked locally where possible, by TokenReview where not.
import {
  type Authenticator,
  bearerTokenOf,
  type CallerFacts,
  type CallerIdentity,
  type CallerResult,
} from './caller.ts';
import { makeIdentity, parseServiceAccountUser } from './identity.ts';
import type { FindKeys } from './jwks.ts';
import { type Claims, claimProblem, parseJwt } from './jwt.ts';
import { verifiedClaims } from './jwt-authenticator.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { tokenCache } from './token-cache.ts';

/** What the API server says of a token (authentication.k8s.io/v1 TokenReview status). */
export interface ReviewedToken {
  /** `system:serviceaccount:<namespace>:<name>`. */
  readonly username: string;
  readonly groups: readonly string[];
  readonly podName?: string;
  readonly podUid?: string;
}

/** Asks the API server about a token for audiences. Rejects when it cannot be asked. */
export type ReviewToken = (token: string, audiences: readonly string[]) => Promise<ReviewedToken | Refusal>;

/** What is watched of pods and service accounts. `undefined`: there is none, as far as the watch has seen. */
export interface WatchedObjects {
  pod(namespace: string, name: string): { readonly uid: string; readonly serviceAccount: string } | undefined;
  serviceAccount(namespace: string, name: string): { readonly uid: string } | undefined;
}

/** One cluster's way to check tokens. Without `local`, each token is reviewed; without `review`, none is. */
export interface ClusterTokens {
  readonly clusterId: string;
  readonly local?: { readonly issuer: string; readonly findKeys: FindKeys; readonly watched: WatchedObjects };
  readonly review?: ReviewToken;
}

export interface KubernetesTokenOptions {
  /** Istio's TOKEN_AUDIENCES; `istio-ca` by default. */
  readonly audiences: readonly string[];
  readonly trustDomain: () => string;
  /** The cluster of that id or alias; for `undefined` and the empty id the local one. */
  readonly cluster: (id: string | undefined) => ClusterTokens | undefined;
  readonly now: () => number;
}

/** How long a review's answer is reused, in milliseconds; a refusal is too, to spare the API server. */
const reviewedFor = 10_000;
const refusedFor = 2_000;
const verifiedFor = 5 * 60_000;
const rememberedTokens = 10_000;

/** The identity of a checked token, and when it ends. */
interface CheckedToken {
  readonly identity: CallerIdentity;
  readonly validUntil: number;
}

/** Accepts the service-account tokens of the clusters. */
export function kubernetesAuthenticator(options: KubernetesTokenOptions): Authenticator {
  const caches = {
    verified: tokenCache<Claims>(rememberedTokens, options.now),
    reviewed: tokenCache<CheckedToken | Refusal>(rememberedTokens, options.now),
    pending: new Map<string, Promise<CheckedToken | Refusal>>(),
  };
  return async (facts) => {
    const token = bearerTokenOf(facts);
    if (token === undefined || isRefused(token)) {
      return token;
    }
    const cluster = options.cluster(facts.clusterId === '' ? undefined : facts.clusterId);
    return cluster === undefined ? unknownCluster(facts) : resultOf(await checkToken(token, cluster, options, caches));
  };
}

type Caches = {
  readonly verified: ReturnType<typeof tokenCache<Claims>>;
  readonly reviewed: ReturnType<typeof tokenCache<CheckedToken | Refusal>>;
  /** Reviews under way, so that many calls with one token ask once. */
  readonly pending: Map<string, Promise<CheckedToken | Refusal>>;
};

async function checkToken(
  token: string,
  cluster: ClusterTokens,
  options: KubernetesTokenOptions,
  caches: Caches,
): Promise<CheckedToken | Refusal> {
  const parsed = parseJwt(token);
  const { local } = cluster;
  const isLocal = local !== undefined && !isRefused(parsed) && parsed.claims['iss'] === local.issuer;
  const locally = isLocal ? await checkLocally(token, cluster, local, options, caches) : undefined;
  if (locally !== undefined) {
    return locally;
  }
  const key = `${cluster.clusterId}\n${token}`;
  const known = caches.reviewed.get(key);
  if (known !== undefined) {
    return known;
  }
  const expires = isRefused(parsed) ? undefined : parsed.claims['exp'];
  const pending = caches.pending.get(key) ?? review(token, cluster, options, expires);
  caches.pending.set(key, pending);
  const result = await pending.finally(() => caches.pending.delete(key));
  // Where pods are watched, a good answer is not kept: the pod could be deleted before the watch has seen it at all.
  if (isRefused(result) || local === undefined) {
    caches.reviewed.set(key, result, options.now() + (isRefused(result) ? refusedFor : reviewedFor));
  }
  return result;
}

/**
 * Signature, claims, and the watched Pod and ServiceAccount that the token is bound to. `undefined` where this cannot
 * decide: keys that are not known, objects that the watch has not seen (yet, or any more: the API server knows), and
 * tokens that are bound to something else.
 */
async function checkLocally(
  token: string,
  cluster: ClusterTokens,
  local: NonNullable<ClusterTokens['local']>,
  options: KubernetesTokenOptions,
  caches: Caches,
): Promise<CheckedToken | Refusal | undefined> {
  const claims = caches.verified.get(token) ?? (await verifiedClaims(token, local.findKeys));
  if (isRefused(claims)) {
    return cluster.review === undefined ? claims : undefined;
  }
  const verified = claims as Claims;
  caches.verified.set(token, verified, options.now() + verifiedFor);
  const problem = claimProblem(verified, { issuer: local.issuer, audiences: options.audiences }, options.now());
  const bound = boundObjects(verified);
  if (problem !== undefined || bound === undefined) {
    return refused(problem ?? 'the token is not bound to a service account');
  }
  if (isBoundElsewhere(verified)) {
    return cluster.review === undefined ? refused('the token is bound to an object that is not watched') : undefined;
  }
  const account = local.watched.serviceAccount(bound.namespace, bound.serviceAccount);
  const pod = bound.podName === undefined ? undefined : local.watched.pod(bound.namespace, bound.podName);
  if (account === undefined || (bound.podName !== undefined && pod === undefined)) {
    return cluster.review === undefined ? refused('the token’s pod or service account does not exist') : undefined;
  }
  const isSame =
    account.uid === bound.serviceAccountUid &&
    (pod === undefined || (pod.uid === bound.podUid && pod.serviceAccount === bound.serviceAccount));
  return isSame
    ? checked(options, cluster, bound, Number(verified['exp']) * 1000)
    : refused('the token is bound to a pod or service account that was replaced');
}

async function review(
  token: string,
  cluster: ClusterTokens,
  options: KubernetesTokenOptions,
  expires: unknown,
): Promise<CheckedToken | Refusal> {
  if (cluster.review === undefined) {
    return refused('the token cannot be checked: its issuer is not known');
  }
  const result = await cluster
    .review(token, options.audiences)
    .catch(() => refused('the API server cannot be asked about the token'));
  if (isRefused(result)) {
    return result;
  }
  const account = parseServiceAccountUser(result.username);
  if (account === undefined || !result.groups.includes('system:serviceaccounts')) {
    return refused('the token is not of a service account');
  }
  const validUntil = typeof expires === 'number' ? expires * 1000 : options.now() + reviewedFor;
  return checked(options, cluster, { ...account, ...podOf(result) }, validUntil);
}

function checked(
  options: KubernetesTokenOptions,
  cluster: ClusterTokens,
  bound: {
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly podName?: string;
    readonly podUid?: string;
  },
  validUntil: number,
): CheckedToken | Refusal {
  const identity = makeIdentity(options.trustDomain(), bound.namespace, bound.serviceAccount);
  return identity === undefined
    ? refused('the service account cannot be a SPIFFE identity')
    : { identity: { ...identity, ...podOf(bound), clusterId: cluster.clusterId }, validUntil };
}

/** The objects in the `kubernetes.io` claim of a bound token; it must agree with `sub`. */
function boundObjects(claims: Claims):
  | {
      readonly namespace: string;
      readonly serviceAccount: string;
      readonly serviceAccountUid: string;
      readonly podName?: string;
      readonly podUid?: string;
    }
  | undefined {
  const { sub, 'kubernetes.io': bound } = claims;
  const account = typeof sub === 'string' ? parseServiceAccountUser(sub) : undefined;
  const namespace = textAt(bound, 'namespace');
  const name = textAt(bound, 'serviceaccount', 'name');
  const serviceAccountUid = textAt(bound, 'serviceaccount', 'uid');
  const podName = textAt(bound, 'pod', 'name');
  const podUid = textAt(bound, 'pod', 'uid');
  const agrees = account !== undefined && account.namespace === namespace && account.serviceAccount === name;
  if (!agrees || serviceAccountUid === undefined || (podName === undefined) !== (podUid === undefined)) {
    return undefined;
  }
  return { ...account, serviceAccountUid, ...podOf({ podName, podUid }) };
}

/**
 * Whether the API server accepts the token only while another object than its pod and service account exists, which is
 * not watched: a Secret, or a Node. The token of a pod tells the pod's node too, and does not depend on it (Kubernetes,
 * pkg/serviceaccount/claims.go).
 */
function isBoundElsewhere({ 'kubernetes.io': bound }: Claims): boolean {
  const hasPod = textAt(bound, 'pod', 'name') !== undefined;
  return Object.keys(bound as object).some((key) => !understood.has(key) && !(key === 'node' && hasPod));
}

/** What the claim of a token may hold that can be decided here. */
const understood: ReadonlySet<string> = new Set(['namespace', 'serviceaccount', 'pod', 'warnafter']);

function podOf(from: { readonly podName?: string | undefined; readonly podUid?: string | undefined }): {
  readonly podName?: string;
  readonly podUid?: string;
} {
  const { podName, podUid } = from;
  return podName === undefined || podUid === undefined ? {} : { podName, podUid };
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  let current = value;
  for (const key of path) {
    current =
      typeof current === 'object' && current !== null && Object.hasOwn(current, key)
        ? Reflect.get(current, key)
        : undefined;
  }
  return typeof current === 'string' ? current : undefined;
}

function unknownCluster(facts: CallerFacts): Refusal {
  return refused(`no cluster is known by the id ${JSON.stringify(facts.clusterId?.slice(0, 64))}`);
}

function resultOf(token: CheckedToken | Refusal): CallerResult {
  return isRefused(token)
    ? token
    : { kind: 'identities', method: 'kubernetes', identities: [token.identity], validUntil: token.validUntil };
}
