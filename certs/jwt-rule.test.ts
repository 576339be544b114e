// JWT_RULE: inline keys, keys at an address, keys by discovery, and rules that are refused.
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { authenticateBy } from './caller.ts';
import { jwtAuthenticator } from './jwt-authenticator.ts';
import { parseJwtRule } from './jwt-rule.ts';
import { isRefused } from './refusal.ts';

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' }] });
const issuer = 'https://issuer.example';
const pages: Readonly<Record<string, string>> = {
  'https://keys.example/jwks': jwks,
  'https://issuer.example/.well-known/openid-configuration': JSON.stringify({
    issuer,
    jwks_uri: 'https://keys.example/jwks',
  }),
};
const fetchText = async (url: string): Promise<string> => {
  const page = pages[url];
  if (page === undefined) {
    throw new Error('status 404');
  }
  return page;
};

test.each<readonly [string, object, string]>([
  ['inline keys', { issuer, audiences: ['mesh'], jwks }, 'web'],
  ['an address', { issuer, audiences: ['mesh'], jwksUri: 'https://keys.example/jwks' }, 'web'],
  ['an address in protobuf’s spelling', { issuer, audiences: ['mesh'], jwks_uri: 'https://keys.example/jwks' }, 'web'],
  ['discovery', { issuer, audiences: ['mesh'] }, 'web'],
  ['another audience', { issuer, audiences: ['other'], jwks }, 'another audience'],
  ['the default audience', { issuer, jwks }, 'another audience'],
  [
    'an address that does not answer',
    { issuer, audiences: ['mesh'], jwksUri: 'https://keys.example/gone' },
    'not signed',
  ],
  ['no issuer', { audiences: ['mesh'], jwks }, 'JWT_RULE is not'],
  ['keys that are none', { issuer, jwks: '{}' }, 'has no keys'],
  ['an address that is none', { issuer, jwksUri: 'file:///etc/passwd' }, 'no http'],
  ['audiences that are no list', { issuer, audiences: 'mesh', jwks }, 'not a list'],
])('%s', async (_, rule, expected) => {
  const parsed = parseJwtRule(JSON.stringify(rule), ['istio-ca'], fetchText, Date.now);
  if (isRefused(parsed)) {
    expect(parsed.reason).toContain(expected);
    return;
  }
  const authenticate = authenticateBy([jwtAuthenticator([parsed], () => 'cluster.local', Date.now)]);
  const result = await authenticate({ secure: true, authorization: [`Bearer ${tokenOf()}`] });
  expect(isRefused(result) ? result.reason : result.identities[0]?.serviceAccount).toContain(expected);
});

function tokenOf(): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: issuer, sub: 'system:serviceaccount:default:web', aud: ['mesh'], exp: Date.now() / 1000 + 60 };
  const text = `${encode({ alg: 'RS256', kid: 'k' })}.${encode(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), keys.privateKey).toString('base64url')}`;
}
