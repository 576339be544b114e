// Checks that unknown JSON has a pod's shape as far as injection reads it, so that the rest can rely on the types.
import { isObject, memberAt } from './json.ts';

/** Containers of one pod that are accepted; Kubernetes sets no limit, an injector must. */
const maximumContainers = 500;

/** What is wrong with the value as a pod; undefined where nothing is. Never throws. */
export function podShapeProblem(pod: unknown): string | undefined {
  if (!isObject(pod)) return 'it is no object';
  const { metadata = {}, spec = {} } = pod;
  if (!isObject(metadata)) return 'metadata is no object';
  if (!isObject(spec)) return 'spec is no object';
  return metadataProblem(metadata) ?? specProblem(spec);
}

function metadataProblem(metadata: { readonly [key: string]: unknown }): string | undefined {
  for (const field of ['labels', 'annotations']) {
    const map = metadata[field];
    if (map !== undefined && !isTextMap(map)) return `metadata.${field} is no map of texts`;
  }
  for (const field of ['name', 'generateName', 'namespace']) {
    if (metadata[field] !== undefined && typeof metadata[field] !== 'string') return `metadata.${field} is no text`;
  }
  const owners = metadata['ownerReferences'];
  const isOwner = (o: unknown) => isObject(o) && ['apiVersion', 'kind', 'name'].every((f) => typeof o[f] === 'string');
  if (owners !== undefined && !(Array.isArray(owners) && owners.every(isOwner))) {
    return 'metadata.ownerReferences is no list of references';
  }
  return undefined;
}

function specProblem(spec: { readonly [key: string]: unknown }): string | undefined {
  for (const field of ['containers', 'initContainers']) {
    const containers = spec[field];
    if (containers === undefined) continue;
    if (!Array.isArray(containers)) return `spec.${field} is no list`;
    if (containers.length > maximumContainers) return `spec.${field} has more than ${maximumContainers} items`;
    for (const [i, container] of containers.entries()) {
      const problem = containerProblem(container);
      if (problem !== undefined) return `spec.${field}[${i}]${problem}`;
    }
  }
  for (const field of ['volumes', 'imagePullSecrets']) {
    if (spec[field] !== undefined && !isNamedList(spec[field])) return `spec.${field} is no list of named items`;
  }
  for (const field of ['serviceAccountName', 'nodeName']) {
    if (spec[field] !== undefined && typeof spec[field] !== 'string') return `spec.${field} is no text`;
  }
  return undefined;
}

/** What is wrong with one container, as the rest of a sentence about it. */
export function containerProblem(container: unknown): string | undefined {
  if (!isObject(container) || typeof container['name'] !== 'string') return ' is no container with a name';
  const { ports, env, image, args, volumeMounts, resources, securityContext, lifecycle } = container;
  if (image !== undefined && typeof image !== 'string') return '.image is no text';
  if (args !== undefined && !(Array.isArray(args) && args.every((a) => typeof a === 'string')))
    return '.args is no list of texts';
  if (ports !== undefined && !(Array.isArray(ports) && ports.every(isPort))) return '.ports is no list of ports';
  if (env !== undefined && !isNamedList(env)) return '.env is no list of variables';
  if (volumeMounts !== undefined && !isNamedList(volumeMounts)) return '.volumeMounts is no list of mounts';
  const objects = { resources, securityContext, lifecycle };
  for (const [field, value] of Object.entries(objects)) {
    if (value !== undefined && !isObject(value)) return `.${field} is no object`;
  }
  return handlersProblem(container);
}

function handlersProblem(container: { readonly [key: string]: unknown }): string | undefined {
  const places = [
    ['readinessProbe'],
    ['livenessProbe'],
    ['startupProbe'],
    ['lifecycle', 'preStop'],
    ['lifecycle', 'postStart'],
  ];
  for (const place of places) {
    const handler = memberAt(container, ...place);
    if (handler === undefined) continue;
    const actions = isObject(handler) ? ['httpGet', 'tcpSocket', 'grpc'].map((name) => handler[name]) : [null];
    if (!actions.every((action) => action === undefined || isObject(action))) return `.${place.join('.')} is malformed`;
  }
  return undefined;
}

function isPort(port: unknown): boolean {
  if (!isObject(port) || typeof port['containerPort'] !== 'number') return false;
  return port['name'] === undefined || typeof port['name'] === 'string';
}

function isNamedList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => isObject(item) && typeof item['name'] === 'string');
}

function isTextMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((item) => typeof item === 'string');
}
