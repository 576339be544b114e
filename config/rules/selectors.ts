// Rules of what policies are attached to: workload selectors and target references.
import { conflict, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';

interface TargetRefLike {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
}

interface AttachedSpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: TargetRefLike;
  readonly targetRefs?: readonly TargetRefLike[];
}

/** Checks a selector of the policy kinds (`matchLabels`). */
export function checkSelector(
  selector: AttachedSpec['selector'],
  path: string,
  emptyMessage = 'workload selector specified without labels',
): Findings {
  return selector === undefined ? fine : checkSelectorLabels(selector.matchLabels, `${path}.matchLabels`, emptyMessage);
}

/** Checks a selector of the networking kinds (`labels`). */
export function checkLabelsSelector(
  selector: { readonly labels?: Readonly<Record<string, string>> } | undefined,
  path: string,
): Findings {
  return selector === undefined
    ? fine
    : checkSelectorLabels(
        selector.labels,
        `${path}.labels`,
        'workload selector specified without labels, will be applied to all workloads in the namespace',
      );
}

function checkSelectorLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: string,
  emptyMessage: string,
): Findings {
  const entries = Object.entries(labels ?? {});
  if (entries.length === 0) return doubtful(path, emptyMessage);
  return entries.flatMap(([key, value]) => {
    if (key === '') return invalid(path, `empty key is not supported in selector: "${key}=${value}"`);
    if (key.includes('*') || value.includes('*')) {
      return invalid(`${path}.${key}`, `wildcard is not supported in selector: "${key}=${value}"`);
    }
    return fine;
  });
}

/** Group and kind of the objects that a policy may be attached to. */
const targets: ReadonlySet<string> = new Set([
  '/Service',
  'networking.istio.io/ServiceEntry',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
]);

/** Checks a target reference. */
export function checkTargetRef(target: TargetRefLike, path: string): Findings {
  const group = target.group === 'core' ? '' : (target.group ?? '');
  const key = `${group}/${target.kind ?? ''}`;
  return [
    ...((target.name ?? '') === '' ? missing(`${path}.name`, 'targetRef name must be set') : fine),
    ...((target.namespace ?? '') === ''
      ? fine
      : invalid(
          `${path}.namespace`,
          'targetRef namespace must not be set; cross namespace referencing is not supported',
        )),
    ...(targets.has(key)
      ? fine
      : invalid(
          path,
          `targetRef must be to one of Service, networking.istio.io/ServiceEntry, gateway.networking.k8s.io/Gateway ` +
            `and gateway.networking.k8s.io/GatewayClass but was ${key}`,
        )),
  ];
}

/** Checks what a policy is attached to: a selector or target references, not both. */
export function checkAttachment(spec: AttachedSpec, path = 'spec'): Findings {
  const targeted = spec.targetRef !== undefined || (spec.targetRefs?.length ?? 0) > 0;
  return [
    ...(targeted && spec.selector !== undefined
      ? conflict(path, 'only one of targetRefs or selector can be set')
      : fine),
    ...(spec.targetRef !== undefined && (spec.targetRefs?.length ?? 0) > 0
      ? conflict(path, 'only one of targetRefs or targetRef can be set')
      : fine),
    ...checkSelector(spec.selector, `${path}.selector`),
    ...(spec.targetRef === undefined ? fine : checkTargetRef(spec.targetRef, `${path}.targetRef`)),
    ...each(spec.targetRefs, `${path}.targetRefs`, checkTargetRef),
  ];
}
