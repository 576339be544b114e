// Identity in a cluster: the CA in Secret istio-ca-secret, tokens checked by keys and watched objects, pods for node agents.

import type { CaStore } from '../certs/ca-record.ts';
import { cacertsName, caSecret, caSecretName, type SecretClient, type SecretObject } from '../certs/ca-secret.ts';
import type { Authenticator } from '../certs/caller.ts';
import type { PodDirectory } from '../certs/impersonation.ts';
import { cachedKeys, defaultJwksCache } from '../certs/jwks.ts';
import { type ClusterTokens, kubernetesAuthenticator, type WatchedObjects } from '../certs/kubernetes-token.ts';
import { tokenReview } from '../certs/token-review.ts';
import type { KubeApi } from '../config/sources/kube-api.ts';
import type { Store } from '../config/store.ts';
import { indexPods, type PodIndex } from './pod-index.ts';
import type { Settings } from './settings.ts';

/** What `compose` and its store need of a cluster. */
export interface KubernetesIdentity {
  readonly caStore: CaStore;
  readonly authenticators: readonly Authenticator[];
  readonly pods: PodDirectory;
  /** Gives the watched objects, once there is a store. Until then every token is reviewed. */
  readonly follow: (store: Store) => void;
}

/** What is used of settings. */
type Needed = Pick<Settings, 'clusterId' | 'systemNamespace' | 'tokenAudiences' | 'cacertsSecret'>;

/** Connects identity with one API server. Rejects where the API server does not answer. */
export async function kubernetesIdentity(
  api: Pick<KubeApi, 'send'>,
  settings: Needed,
  trustDomain: () => string,
  now: () => number,
): Promise<KubernetesIdentity> {
  const issuer = await issuerOf(api);
  let watched: WatchedObjects = { pod: () => undefined, serviceAccount: () => undefined };
  let index: PodIndex | undefined;
  const findKeys = cachedKeys(() => getText(api, '/openid/v1/jwks'), defaultJwksCache, now);
  const cluster: ClusterTokens = {
    clusterId: settings.clusterId,
    // Looked up at each call: `follow` comes later.
    ...(issuer === undefined
      ? {}
      : {
          local: {
            issuer,
            findKeys,
            watched: {
              pod: (namespace, name) => watched.pod(namespace, name),
              serviceAccount: (namespace, name) => watched.serviceAccount(namespace, name),
            },
          },
        }),
    review: tokenReview((path, body) => api.send('POST', path, body)),
  };
  const authenticator = kubernetesAuthenticator({
    audiences: settings.tokenAudiences,
    trustDomain,
    cluster: (id) => (id === undefined || id === settings.clusterId ? cluster : undefined),
    now,
  });
  return {
    caStore: await caStoreOf(secretClient(api), settings),
    authenticators: [authenticator],
    pods: {
      pod: (_cluster, namespace, name) => index?.pod(namespace, name),
      runsOn: (_cluster, node, namespace, account) => index?.runsOn(node, namespace, account) ?? false,
    },
    follow: (store) => {
      const pods = indexPods(store);
      index = pods;
      watched = {
        pod: (namespace, name) => pods.pod(namespace, name),
        serviceAccount: (namespace, name) => {
          const uid = store.get('ServiceAccount', `${namespace}/${name}`)?.metadata.uid;
          return uid === undefined ? undefined : { uid };
        },
      };
    },
  };
}

/** A CA that is there stays where it is: only a new one is made in Secret `cacerts`, and only where that is asked for. */
async function caStoreOf(client: SecretClient, { systemNamespace, cacertsSecret }: Needed): Promise<CaStore> {
  const isNew = cacertsSecret && (await client.get(systemNamespace, caSecretName.name)) === 'not-found';
  return caSecret(client, systemNamespace, isNew ? cacertsName : caSecretName);
}

/** Secrets by plain requests. */
export function secretClient(api: Pick<KubeApi, 'send'>): SecretClient {
  const pathOf = (namespace: string, name = '') =>
    `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets${name === '' ? '' : `/${encodeURIComponent(name)}`}`;
  return {
    get: async (namespace, name) => {
      const { status, body } = await api.send('GET', pathOf(namespace, name));
      return status === 404 ? 'not-found' : (expecting([200], status, 'read', namespace, name, body) as SecretObject);
    },
    create: async (secret) => {
      const { namespace, name } = secret.metadata;
      const { status } = await api.send('POST', pathOf(namespace), secret);
      expecting([201, 409], status, 'create', namespace, name, undefined);
      return status === 201 ? 'created' : 'already-exists';
    },
    update: async (secret) => {
      const { namespace, name } = secret.metadata;
      const { status } = await api.send('PUT', pathOf(namespace, name), secret);
      expecting([200, 409], status, 'write', namespace, name, undefined);
      return status === 200 ? 'updated' : 'conflict';
    },
  };
}

function expecting(
  wanted: readonly number[],
  status: number,
  what: string,
  namespace: string,
  name: string,
  body: unknown,
): unknown {
  if (!wanted.includes(status)) {
    throw new Error(`cannot ${what} Secret ${namespace}/${name}: the API server answered ${status}`);
  }
  return body;
}

/** The issuer of the cluster's tokens; undefined where the API server does not say (tokens are then all reviewed). */
async function issuerOf(api: Pick<KubeApi, 'send'>): Promise<string | undefined> {
  const { status, body } = await api.send('GET', '/.well-known/openid-configuration');
  const issuer = typeof body === 'object' && body !== null && 'issuer' in body ? body.issuer : undefined;
  return status === 200 && typeof issuer === 'string' ? issuer : undefined;
}

async function getText(api: Pick<KubeApi, 'send'>, path: string): Promise<string> {
  const { status, body } = await api.send('GET', path);
  if (status !== 200) {
    throw new Error(`${path}: status ${status}`);
  }
  return JSON.stringify(body);
}
