// Tokens of this installation's own, for running from a folder: the key lives in the authority's record.
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { CaStore } from './ca-record.ts';
import type { CertsEnvironment } from './environment.ts';
import { isNamespace, isServiceAccount } from './identity.ts';
import { signJwt } from './jwt.ts';
import type { JwtIssuer } from './jwt-authenticator.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import type { RootOptions } from './root.ts';
import { readOrCreate, updateRecord } from './self-signed.ts';
import { generateKey } from './signer.ts';

export const ownIssuer = 'https://meltemi.local';
export const defaultAudience = 'istio-ca';

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
  readonly lifetimeSeconds: number;
  /** Shown in logs and status; not an authorisation. */
  readonly podName?: string;
}

export interface TokenKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly keyId: string;
}

const longestLifetime = 365 * 24 * 3600;

/** Reads the record's token key, making it (and the record) where there is none yet. */
export async function openTokenKey(
  store: CaStore,
  options: RootOptions,
  env: CertsEnvironment,
): Promise<TokenKey | Refusal> {
  const stored = await readOrCreate(store, options, env);
  if (isRefused(stored)) {
    return stored;
  }
  const existing = stored.record['token-key.pem'];
  if (existing !== undefined) {
    return readTokenKey(existing);
  }
  const fresh = (await generateKey('ec-p256')).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  // Another process may have made one meanwhile: the first one counts.
  const record = await updateRecord(store, (now) =>
    now['token-key.pem'] === undefined ? { ...now, 'token-key.pem': fresh } : now,
  );
  return isRefused(record) ? record : readTokenKey(record['token-key.pem'] ?? '');
}

/** Signs a token in the form of Kubernetes' own. Refuses names that no service account can have. */
export function issueToken(key: TokenKey, request: TokenRequest, env: CertsEnvironment): string | Refusal {
  const { namespace, serviceAccount, audience, lifetimeSeconds, podName } = request;
  if (!isNamespace(namespace) || !isServiceAccount(serviceAccount)) {
    return refused('the namespace or service account is not a Kubernetes name');
  }
  if (!Number.isSafeInteger(lifetimeSeconds) || lifetimeSeconds <= 0 || lifetimeSeconds > longestLifetime) {
    return refused(`the lifetime is not between 1 and ${longestLifetime} seconds`);
  }
  const now = Math.floor(env.now() / 1000);
  const claims = {
    iss: ownIssuer,
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
    aud: [audience],
    iat: now,
    nbf: now,
    exp: now + lifetimeSeconds,
    jti: env.randomBytes(16).toString('hex'),
    'kubernetes.io': {
      namespace,
      serviceaccount: { name: serviceAccount },
      ...(podName === undefined ? {} : { pod: { name: podName } }),
    },
  };
  return signJwt(claims, key.privateKey, key.keyId);
}

/** This installation's issuer, for `jwtAuthenticator`. */
export function ownJwtIssuer(key: TokenKey, audiences: readonly string[] = [defaultAudience]): JwtIssuer {
  const keys = [{ key: key.publicKey, keyId: key.keyId }];
  return {
    issuer: ownIssuer,
    audiences,
    findKeys: async (keyId) => (keyId === key.keyId ? keys : []),
  };
}

function readTokenKey(pem: string): TokenKey | Refusal {
  try {
    const privateKey = createPrivateKey(pem);
    const publicKey = createPublicKey(privateKey);
    const info = publicKey.export({ format: 'der', type: 'spki' });
    return { privateKey, publicKey, keyId: createHash('sha256').update(info).digest('hex').slice(0, 16) };
  } catch {
    return refused('token-key.pem in the CA record cannot be read');
  }
}
