// RequestAuthentication: which JSON Web Tokens a workload takes, and where it finds them.
import { meshStatus, targetRef, workloadSelector } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, duration, flag, listOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const nonEmpty = { crd: { minLength: 1 } };
const headerName = { crd: { minLength: 1, pattern: '^[-_A-Za-z0-9]+$' } };

const jwtRule = message(
  'One issuer of tokens.',
  {
    issuer: text('The `iss` of its tokens.', nonEmpty),
    audiences: listOf(text('An `aud` of its tokens.', nonEmpty), 'Audiences of which a token must name one.'),
    jwksUri: text('URL of the key set.', {
      crd: {
        minLength: 1,
        maxLength: 2048,
        rules: [
          { message: 'url must have scheme http:// or https://', rule: "url(self).getScheme() in ['http', 'https']" },
        ],
      },
    }),
    jwks: text('The key set itself, as JSON.'),
    fromHeaders: listOf(
      message(
        'A header that holds the token.',
        { name: text('Header name.', nonEmpty), prefix: text('Text before the token, `Bearer ` for instance.') },
        { crd: { required: ['name'] } },
      ),
      'Headers to look in.',
    ),
    fromParams: listOf(text('Query parameter.', nonEmpty), 'Query parameters to look in.'),
    fromCookies: listOf(text('Cookie.', nonEmpty), 'Cookies to look in.'),
    outputPayloadToHeader: text('Header that gets the payload of a valid token, in base64url.'),
    forwardOriginalToken: flag('Keeps the token in the request.'),
    outputClaimToHeaders: listOf(
      message(
        'A claim that is copied to a header.',
        { header: text('Header name.', headerName), claim: text('Claim; `.` reaches into it.', nonEmpty) },
        { crd: { required: ['header', 'claim'] } },
      ),
      'Claims that are copied to headers.',
    ),
    timeout: duration('Time that fetching the key set may take; 5s by default.'),
    spaceDelimitedClaims: listOf(text('Claim.', nonEmpty), 'Claims whose text is a list, split at spaces.', {
      crd: { maxItems: 64 },
    }),
    presence: choice(['OPTIONAL', 'REQUIRED'], 'Whether a request without a token is refused.'),
  },
  {
    crd: {
      aliases: { jwks_uri: 'jwksUri' },
      rules: [atMostOneOf(['jwksUri', 'jwks_uri', 'jwks'], 'only one of jwks or jwksUri can be set')],
    },
  },
);
export type JwtRule = ValueOf<typeof jwtRule>;

export const requestAuthentication = defineKind({
  kind: 'RequestAuthentication',
  group: 'security.istio.io',
  plural: 'requestauthentications',
  singular: 'requestauthentication',
  shortNames: ['ra'],
  categories: ['istio-io', 'security-istio-io'],
  versions: ['v1', 'v1beta1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [],
  description: 'Which JSON Web Tokens are accepted; a request with another one is refused.',
  body: message('A RequestAuthentication.', {
    spec: message(
      'The accepted tokens for a mesh, a namespace, selected workloads or target objects.',
      {
        selector: workloadSelector,
        targetRef,
        targetRefs: listOf(targetRef, 'Objects that the policy is attached to.', { crd: { maxItems: 16 } }),
        jwtRules: listOf(jwtRule, 'Issuers.', { crd: { maxItems: 4096 } }),
      },
      {
        crd: {
          rules: [
            atMostOneOf(['selector', 'targetRef', 'targetRefs'], 'only one of targetRefs or selector can be set'),
          ],
        },
      },
    ),
    status: meshStatus,
  }),
});
export type RequestAuthentication = ObjectOfDef<typeof requestAuthentication>;
