// No secret reaches a proxy that it is not for: names of secrets × identities × claims × ports, over real gRPC.
import { X509Certificate } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeUrls } from '../../discovery/xds-types.ts';
import { type IdentityMesh, startIdentityMesh } from '../support/identity-mesh.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect, type GrpcConnection } from '../support/xds/grpc-client.ts';

/** Secrets that exist, by the name that a proxy asks for. */
const secrets = [
  'kubernetes://shop-cert',
  'kubernetes://default/shop-cert',
  'kubernetes://default/shop-cert-cacert',
  'kubernetes://other/shop-cert',
  'kubernetes-gateway://default/shop-cert',
  'kubernetes-gateway://other/shop-cert',
  'configmap://default/roots',
  'configmap://other/roots',
  'kubernetes://default/../other/shop-cert',
  'file-root:/etc/passwd',
];
const names = ['default', 'ROOTCA', ...secrets];
let mesh: IdentityMesh;
let secure: GrpcConnection;
let plain: GrpcConnection;

beforeAll(async () => {
  mesh = await startIdentityMesh('1h');
  const bodies = Object.fromEntries(secrets.map((name) => [name, `content of ${name}`]));
  await mesh.publish('default', { secret: bodies });
  secure = connect(mesh.secureAddress, credentials.createSsl(Buffer.from(mesh.signing.authority.state.bundle.pem)));
  plain = connect(mesh.plainAddress);
});
afterAll(async () => {
  secure?.close();
  plain?.close();
  await mesh?.[Symbol.asyncDispose]();
});

interface Caller {
  readonly connection?: GrpcConnection;
  readonly token?: string;
  /** What the Node message says. */
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Asks for all names in one stream, and then for the name table: what came by the time that it is there, and the caller's
 * own certificate and roots are, which come later to those that get any; or the status that ended it.
 */
async function ask(variant: 'delta' | 'sotw', caller: Caller): Promise<ReadonlyMap<string, string> | number> {
  const headers = caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` };
  const stream = (caller.connection ?? secure).open(variant, headers);
  const base = sidecarNode(`${caller.serviceAccount}-${variant}`, caller.namespace);
  const node = { ...base, metadata: { ...base.metadata, SERVICE_ACCOUNT: caller.serviceAccount } };
  const typeUrl = typeUrls.secret;
  if (variant === 'delta') {
    stream.delta({ node, typeUrl, resourceNamesSubscribe: names });
  } else {
    stream.sotw({ node, typeUrl, resourceNames: names });
  }
  stream[variant]({ typeUrl: typeUrls.nameTable });
  let ended: number | undefined;
  void stream.status.then(({ code }) => {
    ended = code;
  });
  const secretsNow = () =>
    stream.received.filter((one) => one.typeUrl === typeUrl).flatMap(({ resources }) => [...resources]);
  const hasIdentity = (): boolean => {
    const certificates = secretsNow().filter(([, text]) => text.includes('BEGIN CERTIFICATE'));
    const own = certificates.filter(([, text]) => text.includes('PRIVATE KEY'));
    return own.length > 0 && certificates.length > own.length;
  };
  await waitFor('all answers', () => {
    const isAnswered = stream.received.some((one) => one.typeUrl === typeUrls.nameTable);
    return ended !== undefined || (isAnswered && (caller.connection === plain || hasIdentity()));
  });
  stream.end();
  return ended ?? new Map(secretsNow());
}

const own = ['kubernetes://shop-cert', 'kubernetes://default/shop-cert', 'kubernetes://default/shop-cert-cacert'];
const granted = [...own, 'kubernetes-gateway://default/shop-cert', 'configmap://default/roots'];

describe('over delta, where each resource bears its name', () => {
  test.each<readonly [string, string, readonly string[]]>([
    ['default', 'web', ['ROOTCA', 'default', ...granted]],
    ['default', 'db', ['ROOTCA', 'default', ...granted]],
  ])('%s/%s gets its own certificate and secrets of its namespace', async (namespace, serviceAccount, expected) => {
    const got = await ask('delta', { token: mesh.token(namespace, serviceAccount), namespace, serviceAccount });
    if (typeof got === 'number') {
      throw new Error(`ended with ${got}`);
    }
    expect([...got.keys()].sort()).toEqual([...expected].sort());
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(got.get('default') ?? '')?.[0] ?? '';
    expect(new X509Certificate(pem).subjectAltName).toBe(
      `URI:spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
    );
    expect(got.get('ROOTCA')).not.toContain('PRIVATE KEY');
  });

  test('a proxy of another namespace gets what is of that namespace only', async () => {
    const got = await ask('delta', { token: mesh.token('other', 'web'), namespace: 'other', serviceAccount: 'web' });
    const keys = typeof got === 'number' ? [] : [...got.keys()].filter((name) => !['default', 'ROOTCA'].includes(name));
    expect(keys.filter((name) => name.includes('default/'))).toEqual([]);
    expect(typeof got === 'number' ? '' : got.get('default')).toContain('BEGIN CERTIFICATE');
  });

  test('on the plaintext port nothing comes, with or without a token', async () => {
    for (const token of [undefined, mesh.token('default', 'web')]) {
      const caller = {
        connection: plain,
        namespace: 'default',
        serviceAccount: 'web',
        ...(token === undefined ? {} : { token }),
      };
      expect(await ask('delta', caller)).toEqual(new Map());
    }
  });
});

test.each<readonly [string, () => Caller, number]>([
  ['no token', () => ({ namespace: 'default', serviceAccount: 'web' }), 16],
  [
    'a broken token',
    () => ({ token: `${mesh.token('default', 'web')}x`, namespace: 'default', serviceAccount: 'web' }),
    16,
  ],
  ['another namespace', () => ({ token: mesh.token('other', 'web'), namespace: 'default', serviceAccount: 'web' }), 7],
  [
    'another service account',
    () => ({ token: mesh.token('default', 'db'), namespace: 'default', serviceAccount: 'web' }),
    7,
  ],
])('%s ends the stream, in both variants', async (_, caller, code) => {
  expect([await ask('delta', caller()), await ask('sotw', caller())]).toEqual([code, code]);
});

test('state of the world gives no more: no private key but the caller’s own, nothing on the plaintext port', async () => {
  const got = await ask('sotw', { token: mesh.token('default', 'web'), namespace: 'default', serviceAccount: 'web' });
  const text = typeof got === 'number' ? '' : [...got.values()].join('\n');
  expect(text.split('BEGIN PRIVATE KEY').length).toBe(2);
  expect(text).not.toContain('other/');
  const nothing = await ask('sotw', { connection: plain, namespace: 'default', serviceAccount: 'web' });
  expect(typeof nothing === 'number' ? 'ended' : [...nothing.values()].join('')).toBe('');
});
