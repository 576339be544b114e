// Tokens: which are accepted, and a table of hostile ones with the reason each is refused for.
import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { accepted, memoryStore, rootOptions } from '../test/support/certificate-server.ts';
import { fc } from '../test/support/property.ts';
import { type Authenticator, authenticateBy, type CallerFacts } from './caller.ts';
import { systemEnvironment } from './environment.ts';
import { cachedKeys, discoveredJwks, fixedKeys, parseJwks } from './jwks.ts';
import { parseJwt } from './jwt.ts';
import { jwtAuthenticator } from './jwt-authenticator.ts';
import { isRefused } from './refusal.ts';
import { defaultAudience, issueToken, openTokenKey, ownIssuer, ownJwtIssuer } from './token-issuer.ts';

const now = Date.UTC(2030, 0, 1);
const seconds = now / 1000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const ec384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
const claims = {
  iss: 'https://issuer.example',
  sub: 'system:serviceaccount:default:web',
  aud: ['istio-ca'],
  iat: seconds - 10,
  exp: seconds + 600,
};
const issuer = {
  issuer: 'https://issuer.example',
  audiences: ['istio-ca'],
  findKeys: fixedKeys([
    { keyId: 'rsa', key: rsa.publicKey },
    { keyId: 'ec', key: ec.publicKey },
    { keyId: 'ec384', key: ec384.publicKey },
    { keyId: 'weak', key: weak.publicKey },
  ]),
};
const authenticator = jwtAuthenticator(
  [issuer],
  () => 'cluster.local',
  () => now,
);

describe('accepted', () => {
  test.each([
    ['RS256', make({ alg: 'RS256', kid: 'rsa' }, claims, rsa.privateKey)],
    ['ES256', make({ alg: 'ES256', kid: 'ec' }, claims, ec.privateKey)],
    ['ES384', make({ alg: 'ES384', kid: 'ec384' }, claims, ec384.privateKey, 'sha384')],
    ['no key id', make({ alg: 'RS256' }, claims, rsa.privateKey)],
    ['a single audience', make({ alg: 'RS256', kid: 'rsa' }, { ...claims, aud: 'istio-ca' }, rsa.privateKey)],
  ])('%s', async (_, token) => {
    expect(await ask(token)).toEqual({
      kind: 'identities',
      method: 'jwt',
      identities: [{ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' }],
      validUntil: (seconds + 600) * 1000,
    });
  });
});

describe('refused', () => {
  const good = make({ alg: 'RS256', kid: 'rsa' }, claims, rsa.privateKey);
  const [head = '', body = '', signature = ''] = good.split('.');
  const withClaims = (change: object) => make({ alg: 'RS256', kid: 'rsa' }, { ...claims, ...change }, rsa.privateKey);
  const publicPem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const hmacHead = encode({ alg: 'HS256', kid: 'rsa' });
  const hmac = createHmac('sha256', publicPem).update(`${hmacHead}.${body}`).digest('base64url');
  test.each<readonly [string, string, RegExp]>([
    ['alg none', `${encode({ alg: 'none' })}.${body}.`, /not a JWT/],
    ['alg none with a signature', `${encode({ alg: 'none' })}.${body}.${signature}`, /algorithm/],
    ['alg None', `${encode({ alg: 'None' })}.${body}.${signature}`, /algorithm/],
    ['HS256 with the public key', `${hmacHead}.${body}.${hmac}`, /algorithm/],
    ['an algorithm of Object.prototype', `${encode({ alg: 'constructor' })}.${body}.${signature}`, /algorithm/],
    ['expired', withClaims({ exp: seconds }), /expired/],
    ['never expiring', withClaims({ exp: undefined }), /never expires/],
    ['expiring at a text', withClaims({ exp: '9999999999' }), /never expires/],
    ['not yet valid', withClaims({ nbf: seconds + 3600 }), /not valid yet/],
    ['issued in the future', withClaims({ iat: seconds + 3600 }), /not valid yet/],
    ['wrong audience', withClaims({ aud: ['other'] }), /another audience/],
    ['no audience', withClaims({ aud: undefined }), /another audience/],
    ['an audience that only begins alike', withClaims({ aud: 'istio-ca-2' }), /another audience/],
    ['about a user', withClaims({ sub: 'alice' }), /not about a service account/],
    [
      'about a service account with a path',
      withClaims({ sub: 'system:serviceaccount:a:b/../c' }),
      /not about a service/,
    ],
    ['another issuer', withClaims({ iss: 'https://other.example' }), /no credential/],
    [
      'changed claims',
      `${head}.${encode({ ...claims, sub: 'system:serviceaccount:default:admin' })}.${signature}`,
      /not signed/,
    ],
    ['a changed header', `${encode({ alg: 'RS256', kid: 'rsa', x: 1 })}.${body}.${signature}`, /not signed/],
    ['no signature', `${head}.${body}.`, /not a JWT/],
    ['two parts', `${head}.${body}`, /not a JWT/],
    ['five parts (JWE)', `${good}.a.b`, /not a JWT/],
    ['an unknown key id', make({ alg: 'RS256', kid: 'gone' }, claims, rsa.privateKey), /not signed/],
    ['a key id of another key', make({ alg: 'RS256', kid: 'ec' }, claims, rsa.privateKey), /not signed/],
    ['the key of another algorithm', make({ alg: 'ES256', kid: 'rsa' }, claims, ec.privateKey), /not signed/],
    ['another curve', make({ alg: 'ES256', kid: 'ec384' }, claims, ec384.privateKey), /not signed/],
    ['a key of 1024 bits', make({ alg: 'RS256', kid: 'weak' }, claims, weak.privateKey), /not signed/],
    [
      'another key',
      make({ alg: 'ES256', kid: 'ec' }, claims, generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey),
      /not signed/,
    ],
    [
      'an embedded key',
      make({ alg: 'ES256', jwk: ec384.publicKey.export({ format: 'jwk' }) }, claims, ec384.privateKey),
      /not signed/,
    ],
    [
      'critical extensions',
      make({ alg: 'RS256', kid: 'rsa', crit: ['b64'] }, claims, rsa.privateKey),
      /not understood/,
    ],
    [
      'a null signature of ECDSA',
      `${encode({ alg: 'ES256', kid: 'ec' })}.${body}.${Buffer.alloc(64).toString('base64url')}`,
      /not signed/,
    ],
    ['100 kB', `${head}.${Buffer.alloc(75_000).toString('base64url')}.${signature}`, /too long/],
    ['padding', `${head}=.${body}.${signature}`, /not a JWT/],
    ['an array', `${Buffer.from('[]').toString('base64url')}.${body}.${signature}`, /not a JWT/],
    ['nothing', '', /not a JWT/],
  ])('%s', async (_, token, reason) => {
    const result = await ask(token);
    expect(isRefused(result) ? result.reason : 'accepted').toMatch(reason);
  });

  test('two tokens at once', async () => {
    const result = await authenticateBy([authenticator])({
      ...facts(good),
      authorization: [`Bearer ${good}`, `bearer ${good}`],
    });
    expect(isRefused(result) ? result.reason : 'accepted').toMatch(/ambiguous/);
  });

  test('any token on the plaintext port', async () => {
    const result = await authenticateBy([authenticator])({ ...facts(good), secure: false });
    expect(isRefused(result) ? result.reason : 'accepted').toMatch(/not secured/);
  });

  test('a remembered token, once it has expired', async () => {
    let time = now;
    const remembering = jwtAuthenticator(
      [issuer],
      () => 'cluster.local',
      () => time,
    );
    expect(isRefused(await remembering(facts(good)))).toBe(false);
    time += 600_000;
    const later = await remembering(facts(good));
    expect(isRefused(later) ? later.reason : 'accepted').toMatch(/expired/);
  });
});

test('no text makes the parser throw or accept', async () => {
  const part = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (parts) => {
      const token = parts.join('.');
      parseJwt(token);
      return isRefused(await ask(token));
    }),
    { numRuns: 1500 },
  );
});

describe('own tokens', () => {
  test('are accepted by whoever shares the record, whoever makes the key first', async () => {
    const store = memoryStore();
    const open = async () => accepted(await openTokenKey(store, rootOptions, systemEnvironment));
    const [first, second] = await Promise.all([open(), open()]);
    const third = await open();
    expect([first.keyId, second.keyId]).toEqual([third.keyId, third.keyId]);
    const request = { namespace: 'default', serviceAccount: 'web', audience: defaultAudience, lifetimeSeconds: 60 };
    const token = accepted(issueToken(first, request, systemEnvironment));
    const own = jwtAuthenticator([ownJwtIssuer(third)], () => 'cluster.local', Date.now);
    expect(await authenticateBy([own])(facts(token))).toMatchObject({
      identities: [{ namespace: 'default', serviceAccount: 'web' }],
    });
    expect(parseJwt(token)).toMatchObject({ claims: { iss: ownIssuer } });
  });

  test.each([
    [{ namespace: 'Default' }, /not a Kubernetes name/],
    [{ serviceAccount: 'a:b' }, /not a Kubernetes name/],
    [{ lifetimeSeconds: 0 }, /lifetime/],
    [{ lifetimeSeconds: 1e12 }, /lifetime/],
    [{ lifetimeSeconds: 1.5 }, /lifetime/],
  ])('are not made for %o', async (change, reason) => {
    const key = accepted(await openTokenKey(memoryStore(), rootOptions, systemEnvironment));
    const request = {
      namespace: 'default',
      serviceAccount: 'web',
      audience: 'istio-ca',
      lifetimeSeconds: 60,
      ...change,
    };
    const token = issueToken(key, request, systemEnvironment);
    expect(isRefused(token) ? token.reason : 'made').toMatch(reason);
  });
});

describe('keys of issuers', () => {
  const setOf = (...keys: readonly (readonly [string, KeyObject])[]) =>
    JSON.stringify({ keys: keys.map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' })) });

  test('symmetric, private-use and broken keys are left out', () => {
    const text = JSON.stringify({
      keys: [
        { kty: 'oct', k: 'AAAA', kid: 'a' },
        { kty: 'RSA', kid: 'b' },
        5,
        { ...rsa.publicKey.export({ format: 'jwk' }), use: 'enc' },
      ],
    });
    expect(parseJwks(text)).toEqual([]);
    expect(isRefused(parseJwks('{'))).toBe(true);
    expect(isRefused(parseJwks('{"keys":{}}'))).toBe(true);
  });

  test('are fetched once, again when an unknown id comes, and not more often than the pause', async () => {
    let time = 0;
    let fetches = 0;
    let published = setOf(['one', rsa.publicKey]);
    const load = async () => {
      fetches += 1;
      return published;
    };
    const find = cachedKeys(load, { refreshAfter: 60_000, keepFor: 3600_000, pause: 1000 }, () => time);
    await Promise.all([find('one'), find('one'), find('two')]);
    expect(fetches).toBe(1);
    published = setOf(['two', ec.publicKey]);
    expect(await find('two')).toEqual([]);
    time += 1000;
    expect((await find('two')).length).toBe(1);
    expect(fetches).toBe(2);
    for (let i = 0; i < 50; i++) {
      await find(`invented-${i}`);
    }
    expect(fetches).toBe(2);
  });

  test('stay in use while fetching fails, but not for ever', async () => {
    let time = 0;
    let fails = false;
    const load = async () => {
      if (fails) {
        throw new Error('unreachable');
      }
      return setOf(['one', rsa.publicKey]);
    };
    const find = cachedKeys(load, { refreshAfter: 60_000, keepFor: 600_000, pause: 1000 }, () => time);
    expect((await find('one')).length).toBe(1);
    fails = true;
    time += 599_000;
    expect((await find('one')).length).toBe(1);
    time += 2_000;
    expect(await find('one')).toEqual([]);
  });

  test('a discovery document of another issuer is not followed', async () => {
    const fetched: string[] = [];
    const fetchText = async (url: string) => {
      fetched.push(url);
      return JSON.stringify({ issuer: 'https://evil.example', jwks_uri: 'https://evil.example/keys' });
    };
    await expect(discoveredJwks('https://issuer.example', fetchText)()).rejects.toThrow(/another issuer/);
    expect(fetched).toEqual(['https://issuer.example/.well-known/openid-configuration']);
  });
});

function ask(token: string) {
  return authenticateBy([authenticator satisfies Authenticator])(facts(token));
}

function facts(token: string): CallerFacts {
  return { secure: true, authorization: [`Bearer ${token}`] };
}

function make(header: object, body: object, key: KeyObject, hash = 'sha256'): string {
  const text = `${encode(header)}.${encode(body)}`;
  return `${text}.${sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

test('random bytes are no key record', async () => {
  const store = memoryStore();
  accepted(await openTokenKey(store, rootOptions, systemEnvironment));
  const stored = accepted((await store.read()) ?? { kind: 'refused', reason: 'none' });
  await store.replace({ ...stored.record, 'token-key.pem': randomBytes(20).toString('hex') }, stored.version);
  expect(isRefused(await openTokenKey(store, rootOptions, systemEnvironment))).toBe(true);
});
