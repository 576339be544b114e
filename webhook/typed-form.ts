// The form in which Kubernetes' own client prints a workload: fields that its types always print, exact quantities.
import { isObject, type JsonObject, objectOf } from './json.ts';
import { canonicalResources } from './quantity.ts';

const template = { metadata: {} };

/** Members that are printed where absent, by kind. */
const printed: Readonly<Record<string, JsonObject>> = {
  Pod: { status: {} },
  Deployment: { spec: { strategy: {}, template }, status: {} },
  DaemonSet: {
    spec: { updateStrategy: {}, template },
    status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
  },
  StatefulSet: { spec: { updateStrategy: {}, template }, status: { replicas: 0, availableReplicas: 0 } },
  ReplicaSet: { status: { replicas: 0 } },
  ReplicationController: { status: { replicas: 0 } },
  Job: { spec: { template }, status: {} },
  CronJob: { spec: { jobTemplate: { metadata: {}, spec: { template } } }, status: {} },
  DeploymentConfig: {
    spec: { strategy: { resources: {} }, test: false },
    status: {
      latestVersion: 0,
      observedGeneration: 0,
      replicas: 0,
      updatedReplicas: 0,
      availableReplicas: 0,
      unavailableReplicas: 0,
    },
  },
  List: { metadata: {} },
};

/** Members of a workload's `spec` that are not printed while they are zero. */
const omittedZeros = ['minReadySeconds', 'paused'];

/** The object as `kubectl` would print it after decoding it by type; kinds that are not in the table stay as they are. */
export function typedForm(object: JsonObject): JsonObject {
  const kind = String(object['kind']);
  if (!Object.hasOwn(printed, kind)) return object;
  const filled = fill(objectOf(canonicalIn(object)), printed[kind] ?? {});
  if (!isObject(filled['spec'])) return filled;
  const spec = Object.entries(filled['spec']).filter(
    ([name, value]) => !(omittedZeros.includes(name) && (value === 0 || value === false)),
  );
  return { ...filled, spec: Object.fromEntries(spec) };
}

function fill(object: JsonObject, defaults: JsonObject): JsonObject {
  const result: Record<string, unknown> = { ...object };
  for (const [name, value] of Object.entries(defaults)) {
    const have = result[name];
    result[name] = have === undefined ? value : isObject(have) && isObject(value) ? fill(have, value) : have;
  }
  return result;
}

function canonicalIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonicalIn);
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === null) continue;
    const isContainers = (key === 'containers' || key === 'initContainers') && Array.isArray(member);
    result[key] = isContainers ? member.map(canonicalContainer) : canonicalIn(member);
  }
  return result;
}

function canonicalContainer(container: unknown): unknown {
  if (!isObject(container)) return container;
  const rest = objectOf(canonicalIn(container));
  return { ...rest, resources: canonicalResources(objectOf(container['resources'])) };
}
