// What the control plane may do in a cluster: the least that it needs, derived from the kinds that it follows.
import { cacertsName, caSecretName } from '../../certs/ca-secret.ts';
import { kinds } from '../../config/kinds/kinds.ts';
import { compareText } from '../../config/object.ts';
import { followedKinds } from './followed-kinds.ts';
import {
  addressesLease,
  ingressLease,
  rejectionsLease,
  replicasLease,
  rootsLease,
  rotationLease,
  statusLease,
} from './names.ts';
import { crlConfigMap, rootConfigMap } from './namespace-config-maps.ts';

/** Whose rights they are. */
export interface RbacOptions {
  /** The control plane's namespace. */
  readonly namespace: string;
  /** Empty for the default revision. */
  readonly revision: string;
  /** The ConfigMap with the roots, where PILOT_CA_CERT_CONFIGMAP names another than `istio-ca-root-cert`. */
  readonly rootConfigMap?: string;
  /** The ConfigMap with revocation lists, where PILOT_CRL_CONFIGMAP names another than `istio-ca-crl`. */
  readonly crlConfigMap?: string;
  /** Whether the CA may be in Secret `cacerts` (USE_CACERTS_FOR_SELF_SIGNED_CA). */
  readonly cacerts?: boolean;
}

/** A manifest of rbac.authorization.k8s.io/v1 or of the core group. */
export interface RbacObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** One rule of a role. */
export interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

const rbacGroup = 'rbac.authorization.k8s.io';

/** The service account, its roles and their bindings, in the order in which they are to be applied. */
export function rbacObjects(options: RbacOptions): readonly RbacObject[] {
  const { namespace, revision } = options;
  const name = revision === '' || revision === 'default' ? 'istiod' : `istiod-${revision}`;
  const clusterName = `${name}-${namespace}`;
  const labels = { app: 'istiod', 'istio.io/rev': revision === '' ? 'default' : revision };
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const role = (kind: 'Role' | 'ClusterRole', rules: readonly PolicyRule[]): readonly RbacObject[] => {
    const metadata = kind === 'Role' ? { name, namespace, labels } : { name: clusterName, labels };
    const apiVersion = `${rbacGroup}/v1`;
    const roleRef = { apiGroup: rbacGroup, kind, name: metadata.name };
    return [
      { apiVersion, kind, metadata, rules },
      { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects },
    ];
  };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels } },
    ...role(
      'ClusterRole',
      clusterRules([options.rootConfigMap ?? rootConfigMap, options.crlConfigMap ?? crlConfigMap]),
    ),
    ...role('Role', ownRules(revision, options.cacerts === true)),
  ];
}

/** In the whole cluster: read what is followed, write statuses, keep ConfigMaps in every namespace, patch webhooks, review tokens. */
function clusterRules(configMaps: readonly string[]): readonly PolicyRule[] {
  const groups = [...new Set(followedKinds.map((kind) => kinds[kind].group as string))].sort(compareText);
  return [
    ...groups.map((group) => ({
      apiGroups: [group],
      resources: followedKinds
        .filter((kind) => kinds[kind].group === group)
        .map((kind) => kinds[kind].plural as string)
        .sort(compareText),
      verbs: ['list', 'watch'],
    })),
    ...groups.flatMap((group) => {
      const plurals = meshPlurals(group);
      if (plurals.length === 0) return [];
      return [
        { apiGroups: [group], resources: plurals, verbs: ['get'] },
        { apiGroups: [group], resources: plurals.map((plural) => `${plural}/status`), verbs: ['patch'] },
      ];
    }),
    // Creation cannot be limited to a name.
    { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
    { apiGroups: [''], resources: ['configmaps'], resourceNames: configMaps, verbs: ['patch'] },
    {
      apiGroups: ['admissionregistration.k8s.io'],
      resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
      verbs: ['list', 'patch', 'watch'],
    },
    { apiGroups: ['networking.k8s.io'], resources: ['ingresses/status'], verbs: ['patch'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { nonResourceURLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] },
  ];
}

/** Kinds of a group whose objects are told in their status what is wrong with them. */
function meshPlurals(group: string): readonly string[] {
  return followedKinds
    .filter((kind) => kinds[kind].group === group && !kinds[kind].builtin)
    .map((kind) => kinds[kind].plural as string)
    .sort(compareText);
}

/** In its own namespace: the CA's Secret, the Leases, and the Gateway by which the validation webhook is tried (dry run). */
function ownRules(revision: string, cacerts: boolean): readonly PolicyRule[] {
  const caSecrets = [caSecretName.name, ...(cacerts ? [cacertsName.name] : [])];
  return [
    { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
    { apiGroups: [''], resources: ['secrets'], resourceNames: caSecrets, verbs: ['get', 'update'] },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: [
        rootsLease(revision),
        statusLease(revision),
        addressesLease(revision),
        ingressLease,
        rotationLease,
      ],
      verbs: ['get', 'update'],
    },
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: [replicasLease, rejectionsLease(revision)],
      verbs: ['get', 'patch'],
    },
    { apiGroups: ['networking.istio.io'], resources: ['gateways'], verbs: ['create'] },
  ];
}
