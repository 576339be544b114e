// Kubernetes' strategic merge patch for pods: objects merge by key, lists of named things by their merge key.
import { isObject, type JsonObject } from './json.ts';

/** How the members of one type merge: `key` for a list of objects, `items` for what the members are like. */
interface Shape {
  readonly [field: string]: { readonly key?: string; readonly items?: Shape };
}

const container: Shape = {
  ports: { key: 'containerPort' },
  env: { key: 'name' },
  volumeMounts: { key: 'mountPath' },
  volumeDevices: { key: 'devicePath' },
};

const spec: Shape = {
  containers: { key: 'name', items: container },
  initContainers: { key: 'name', items: container },
  ephemeralContainers: { key: 'name', items: container },
  volumes: { key: 'name' },
  imagePullSecrets: { key: 'name' },
  hostAliases: { key: 'ip' },
  topologySpreadConstraints: { key: 'topologyKey' },
  resourceClaims: { key: 'name' },
  schedulingGates: { key: 'name' },
};

const pod: Shape = { spec: { items: spec }, metadata: { items: { ownerReferences: { key: 'uid' } } } };

/**
 * Lays `overlay` over `base` by the rules of k8s.io/apimachinery's strategic merge patch for core/v1 Pod: a null
 * member deletes, lists without a merge key are replaced.
 */
export function mergePod<T extends JsonObject>(base: T, overlay: JsonObject): T {
  return mergeObject(base, overlay, pod) as T;
}

/** The same for one container. */
export function mergeContainer<T extends JsonObject>(base: T, overlay: JsonObject): T {
  return mergeObject(base, overlay, container) as T;
}

function mergeObject(base: JsonObject, overlay: JsonObject, shape: Shape): JsonObject {
  const result: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(overlay)) {
    // Assigning to this name would set the object's prototype.
    if (value === undefined || field === '__proto__') continue;
    if (value === null) {
      delete result[field];
      continue;
    }
    result[field] = mergeValue(result[field], value, Object.hasOwn(shape, field) ? shape[field] : undefined);
  }
  return result;
}

function mergeValue(base: unknown, overlay: unknown, rule: Shape[string] | undefined): unknown {
  if (base === undefined) return withoutNulls(overlay);
  if (isObject(overlay)) return isObject(base) ? mergeObject(base, overlay, rule?.items ?? {}) : withoutNulls(overlay);
  if (Array.isArray(overlay) && Array.isArray(base) && rule?.key !== undefined) {
    return mergeList(base, overlay, rule.key, rule.items ?? {});
  }
  return overlay;
}

// What is new is taken as it is, save for its nulls; mostly there are none and nothing needs to be copied.
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.some(hasNull) ? value.map(withoutNulls) : value;
  if (!isObject(value) || !hasNull(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null && member !== undefined)
      .map(([name, member]) => [name, withoutNulls(member)]),
  );
}

function hasNull(value: unknown): boolean {
  if (typeof value !== 'object') return false;
  if (value === null) return true;
  if (Array.isArray(value)) return value.some(hasNull);
  for (const name in value) {
    const member = (value as JsonObject)[name];
    if (member === undefined || hasNull(member)) return true;
  }
  return false;
}

function mergeList(base: readonly unknown[], overlay: readonly unknown[], key: string, shape: Shape): unknown[] {
  const [baseIds, overlayIds] = [identitiesOf(base, key), identitiesOf(overlay, key)];
  const order = new Map(baseIds.map((id, i) => [id, i]));
  const merged = new Set(overlayIds);
  const patched = overlay.map((item, i) => {
    const at = order.get(overlayIds[i] ?? '');
    const start = at === undefined ? undefined : base[at];
    return { at, value: isObject(start) && isObject(item) ? mergeObject(start, item, shape) : withoutNulls(item) };
  });
  const kept = base.map((value, at) => ({ at, value })).filter(({ at }) => !merged.has(baseIds[at] ?? ''));
  return interleave(patched, kept);
}

/**
 * What tells the items of a list apart: the merge key, and which of those with the same key an item is. Kubernetes takes
 * two ports of one number for TCP and UDP, and two variables of one name; neither may be lost.
 */
function identitiesOf(list: readonly unknown[], key: string): readonly string[] {
  const counts = new Map<string, number>();
  return list.map((item) => {
    const value = isObject(item) ? item[key] : undefined;
    const name = `${typeof value} ${String(value)}`;
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return `${count} ${name}`;
  });
}

/** An item of a merged list with its place in the base, where it had one. */
interface Placed {
  readonly at: number | undefined;
  readonly value: unknown;
}

// Kubernetes' order of a merged list: patched items come first, except where a kept one stood before it already.
function interleave(patched: readonly Placed[], kept: readonly Placed[]): unknown[] {
  const result: unknown[] = [];
  let p = 0;
  let k = 0;
  while (p < patched.length || k < kept.length) {
    const left = kept[k]?.at;
    const right = patched[p]?.at;
    const takeKept = p >= patched.length || (left !== undefined && right !== undefined && left < right);
    result.push((takeKept ? kept[k++] : patched[p++])?.value);
  }
  return result;
}
