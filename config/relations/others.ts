// Gateways, DestinationRules, Sidecars and policies among the others.
import type { Diagnostic } from '../diagnostic.ts';
import type { TargetRef } from '../kinds/common.ts';
import type { DestinationRule } from '../kinds/destination-rule.ts';
import type { Gateway } from '../kinds/gateway.ts';
import type { KindName, ObjectOf } from '../kinds/kinds.ts';
import { compareAge, keyOf } from '../object.ts';
import { absent, overridden } from './finding.ts';
import { fullHost, hasSelector, type Single, type Surroundings, serviceOf } from './view.ts';

/** A Gateway: the pods that it selects, and the Secrets that it names, which lie beside those pods. */
export function relateGateway(
  { spec, metadata }: Gateway,
  { get, podNamespaces }: Surroundings,
): readonly Diagnostic[] {
  const selector = Object.entries(spec.selector ?? {});
  const namespaces = selector.length === 0 ? undefined : podNamespaces(selector);
  // Without pods (a folder of traffic rules only) nothing can be said about what they would be.
  if (namespaces === undefined) return [];
  if (namespaces.length === 0) return absent('spec.selector', 'a pod with these labels');
  return (spec.servers ?? []).flatMap(({ tls }, index) => {
    const path = `spec.servers[${index}].tls`;
    const names = [
      ...(tls?.credentialName === undefined ? [] : [[tls.credentialName, `${path}.credentialName`] as const]),
      ...(tls?.credentialNames ?? []).map((name, at) => [name, `${path}.credentialNames[${at}]`] as const),
    ];
    return names.flatMap(([name, at]) => {
      // Other schemes (`configmap://`, SDS providers of the mesh) are not Secrets of the cluster.
      if (name === '' || name.includes('://')) return [];
      const bare = name.includes('/') ? name.slice(name.indexOf('/') + 1) : name;
      const candidates = name.includes('/') ? [name.slice(0, name.indexOf('/'))] : [...namespaces, metadata.namespace];
      if (candidates.some((namespace) => get('Secret', `${namespace}/${bare}`) !== undefined)) return [];
      return absent(at, `Secret ${bare} in namespace ${candidates[0]}`, 'the server gets no certificate until it does');
    });
  });
}

/** A DestinationRule: its host, and the same subsets in other rules of the host. */
export function relateDestinationRule(object: DestinationRule, around: Surroundings): readonly Diagnostic[] {
  const { spec, metadata } = object;
  const host = fullHost(spec.host ?? '', metadata.namespace, around.domain);
  const known = host.startsWith('*') || serviceOf(around, host) !== undefined || around.entriesOf(host).length > 0;
  const others = around
    .rulesOf(host)
    .filter(({ metadata: other }) => other.namespace === metadata.namespace && keyOf(other) !== keyOf(metadata));
  return [
    ...(known ? [] : absent('spec.host', `a Service or ServiceEntry of host ${host}`)),
    ...(spec.subsets ?? []).flatMap(({ name }, index) => {
      const same = others.find((other) => (other.spec.subsets ?? []).some((subset) => subset.name === name));
      if (same === undefined) return [];
      const message = `DestinationRule ${keyOf(same.metadata)} defines subset ${name} too; the older one counts`;
      return overridden(`spec.subsets[${index}].name`, message);
    }),
  ];
}

/** A Sidecar or PeerAuthentication for a whole namespace: it is the only one, or the oldest counts. */
export function relateSingle(object: Single, { singlesOf }: Surroundings): readonly Diagnostic[] {
  if (hasSelector(object)) return [];
  const same = singlesOf(object.kind, object.metadata.namespace).find(
    ({ metadata }) => keyOf(metadata) !== keyOf(object.metadata),
  );
  if (same === undefined) return [];
  const [winner] = [object, same].sort(compareAge);
  return overridden(
    'spec',
    `${same.kind} ${keyOf(same.metadata)} is for the whole namespace too; the oldest counts, ` +
      `${winner === object ? 'this one' : 'the other one'}`,
  );
}

interface Attached {
  readonly metadata: { readonly namespace: string };
  readonly spec?: { readonly targetRef?: TargetRef; readonly targetRefs?: readonly TargetRef[] };
}

/** A policy that is attached to Services or ServiceEntries of its namespace. */
export function relateTargets({ metadata, spec }: Attached, { get }: Surroundings): readonly Diagnostic[] {
  const refs = [
    ...(spec?.targetRef === undefined ? [] : [[spec.targetRef, 'spec.targetRef'] as const]),
    ...(spec?.targetRefs ?? []).map((ref, index) => [ref, `spec.targetRefs[${index}]`] as const),
  ];
  return refs.flatMap(([{ group, kind, name }, path]) => {
    const target = targetKind(group ?? '', kind ?? '');
    const key = `${metadata.namespace}/${name ?? ''}`;
    if (target === undefined || get(target, key) !== undefined) return [];
    return absent(path, `${target} ${key}`);
  });
}

function targetKind(group: string, kind: string): KindName | undefined {
  if (kind === 'Service' && (group === '' || group === 'core')) return 'Service';
  return kind === 'ServiceEntry' && group === 'networking.istio.io' ? 'ServiceEntry' : undefined;
}

/** Providers that an AuthorizationPolicy or a Telemetry names are those of the mesh's settings. */
export function relateProviders(
  object: ObjectOf<'AuthorizationPolicy'> | ObjectOf<'Telemetry'>,
  { mesh }: Surroundings,
): readonly Diagnostic[] {
  const known = new Set(mesh.extensionProviders.map(({ name }) => name));
  return providersOf(object).flatMap(([name, path]) =>
    name === undefined || name === '' || known.has(name)
      ? []
      : absent(path, `extension provider ${name}`, 'MeshConfig lists them under extensionProviders'),
  );
}

function providersOf(
  object: ObjectOf<'AuthorizationPolicy'> | ObjectOf<'Telemetry'>,
): readonly (readonly [string | undefined, string])[] {
  if (object.kind === 'AuthorizationPolicy') return [[object.spec?.provider?.name, 'spec.provider.name']];
  return (['tracing', 'metrics', 'accessLogging'] as const).flatMap((field) =>
    (object.spec?.[field] ?? []).flatMap(({ providers }, index) =>
      (providers ?? []).map(({ name }, at) => [name, `spec.${field}[${index}].providers[${at}].name`] as const),
    ),
  );
}
