// AuthorizationPolicy: who may do what at a workload.
import { ageColumn, meshStatus, targetRef, workloadSelector } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, listOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const serviceAccount = text('`account` or `namespace/account`.', { crd: { maxLength: 320 } });
const names = (description: string) => listOf(text('An exact value, or with `*` at one end, or `*`.'), description);

const source = message(
  'Who calls: all that is given must hold, of each list one value.',
  {
    principals: names('Peer identities from mutual TLS, `trust-domain/ns/namespace/sa/account`.'),
    notPrincipals: names('Peer identities that do not match.'),
    requestPrincipals: names('Identities from a token, `issuer/subject`.'),
    notRequestPrincipals: names('Token identities that do not match.'),
    namespaces: names('Namespaces of the peer.'),
    notNamespaces: names('Namespaces that do not match.'),
    serviceAccounts: listOf(serviceAccount, 'Service accounts of the peer.', { crd: { maxItems: 16 } }),
    notServiceAccounts: listOf(serviceAccount, 'Service accounts that do not match.', { crd: { maxItems: 16 } }),
    ipBlocks: names("Addresses or ranges of the connection's peer."),
    notIpBlocks: names('Peer addresses that do not match.'),
    remoteIpBlocks: names('Addresses or ranges of the original client.'),
    notRemoteIpBlocks: names('Client addresses that do not match.'),
    trustDomains: names('Trust domains of the peer.'),
    notTrustDomains: names('Trust domains that do not match.'),
  },
  {
    crd: {
      rules: [
        {
          message: 'Cannot set serviceAccounts with namespaces or principals',
          rule:
            '(has(self.serviceAccounts) || has(self.notServiceAccounts)) ? (!has(self.principals) && ' +
            '!has(self.notPrincipals) && !has(self.namespaces) && !has(self.notNamespaces)) : true',
        },
      ],
    },
  },
);
export type AuthorizationSource = ValueOf<typeof source>;

const operation = message('What is called: all that is given must hold, of each list one value.', {
  hosts: names('Host headers.'),
  notHosts: names('Hosts that do not match.'),
  ports: listOf(text('A port number.'), 'Ports.'),
  notPorts: listOf(text('A port number.'), 'Ports that do not match.'),
  methods: names('HTTP methods.'),
  notMethods: names('Methods that do not match.'),
  paths: names('Paths; `{*}` and `{**}` are templates.'),
  notPaths: names('Paths that do not match.'),
});
export type AuthorizationOperation = ValueOf<typeof operation>;

const condition = message(
  'A further condition on an attribute.',
  {
    key: text('Attribute name, `request.headers[x]` for instance.'),
    values: names('Values of which one must match.'),
    notValues: names('Values of which none may match.'),
  },
  { crd: { required: ['key'] } },
);
export type AuthorizationCondition = ValueOf<typeof condition>;

const rule = message('Matches if one of `from`, one of `to` and all of `when` do.', {
  from: listOf(message('A source.', { source }), 'Sources; any when absent.', { crd: { maxItems: 512 } }),
  to: listOf(message('An operation.', { operation }), 'Operations; any when absent.'),
  when: listOf(condition, 'Conditions.'),
});
export type AuthorizationRule = ValueOf<typeof rule>;

export const authorizationPolicy = defineKind({
  kind: 'AuthorizationPolicy',
  group: 'security.istio.io',
  plural: 'authorizationpolicies',
  singular: 'authorizationpolicy',
  shortNames: ['ap'],
  categories: ['istio-io', 'security-istio-io'],
  versions: ['v1', 'v1beta1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    { name: 'Action', type: 'string', jsonPath: '.spec.action', description: 'What is done with matching requests.' },
    ageColumn,
  ],
  description: 'Allows, denies, audits or hands over requests by who calls what.',
  body: message('An AuthorizationPolicy.', {
    spec: message(
      'Rules for a mesh, a namespace, selected workloads or target objects.',
      {
        selector: workloadSelector,
        targetRef,
        targetRefs: listOf(targetRef, 'Objects that the policy is attached to.', { crd: { maxItems: 16 } }),
        rules: listOf(rule, 'Rules; the policy matches if one does, and never without any.', {
          crd: { maxItems: 512 },
        }),
        action: choice(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'], 'What is done with matching requests.'),
        provider: message('Who decides, for CUSTOM.', { name: text('Name of the extension provider.') }),
      },
      {
        oneofs: [['provider']],
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
export type AuthorizationPolicy = ObjectOfDef<typeof authorizationPolicy>;
