// What a pod's author says about an injected container wins over the template, now and at each later injection.
import { overridesText } from './field-order.ts';
import { isObject, type JsonObject, listOf, objectOf } from './json.ts';
import { mergeContainer } from './merge.ts';
import {
  annotationsOf,
  anyContainerOf,
  autoImage,
  type Container,
  containerOf,
  initName,
  type Pod,
  proxyName,
  validationName,
  withMeta,
  withProxy,
} from './pod.ts';
import { containerProblem } from './pod-shape.ts';
import { canonicalResources } from './quantity.ts';

/** Name of the annotation that keeps the overrides. */
export const overridesAnnotation = 'proxy.istio.io/overrides';

/** Containers as their author wrote them, by where they are. */
export interface Overrides {
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
}

/** Reads the annotation; `problem` says why it cannot be read. */
export function overridesOf(pod: Pod): Overrides | { readonly problem: string } {
  const text = annotationsOf(pod)[overridesAnnotation];
  if (text === undefined) return { containers: [], initContainers: [] };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { problem: `invalid value for annotation '${overridesAnnotation}': is not JSON` };
  }
  const lists = ['containers', 'initContainers'].map((field) => listOf(objectOf(parsed)[field]));
  const isContainer = (item: unknown) => containerProblem(item) === undefined;
  if (!isObject(parsed) || lists.some((list) => !list.every(isContainer))) {
    return { problem: `invalid value for annotation '${overridesAnnotation}': is no list of containers` };
  }
  const [containers = [], initContainers = []] = lists as unknown as Container[][];
  return { containers, initContainers };
}

/**
 * Puts containers of the overrides that the pod lacks back into it, for the template to see the author's pod: each at
 * its place in the pod that was admitted, else at the end.
 */
export function reinsertOverrides(pod: Pod, overrides: Overrides, admitted: Pod): Pod {
  const { spec } = pod;
  const complete = (list: 'containers' | 'initContainers') => {
    const present = spec?.[list];
    const missing = overrides[list].filter((container) => containerOf(container.name, present) === undefined);
    if (missing.length === 0) return {};
    const places = new Map((admitted.spec?.[list] ?? []).map(({ name }, i) => [name, i]));
    const placeOf = ({ name }: Container) => places.get(name) ?? places.size;
    return { [list]: [...(present ?? []), ...missing].sort((a, b) => placeOf(a) - placeOf(b)) };
  };
  return { ...pod, spec: { ...spec, ...complete('containers'), ...complete('initContainers') } };
}

/** The pods around one injection. */
export interface OverrideInput {
  /** The pod with the template laid over it. */
  readonly merged: Pod;
  /** The pod as it was admitted. */
  readonly original: Pod;
  /** The template's own parts. */
  readonly template: Pod;
  /** Overrides kept from an earlier injection. */
  readonly kept: Overrides;
  readonly openShift: boolean;
  readonly alreadyInjected: boolean;
  readonly interceptionMode: string;
}

/** Lays the author's containers over those of the template, and notes them in the pod for the next injection. */
export function applyOverrides(input: OverrideInput): Pod {
  const found: { containers: Container[]; initContainers: Container[] } = { containers: [], initContainers: [] };
  let pod = input.merged;
  for (const list of ['containers', 'initContainers'] as const) {
    for (const templated of input.template.spec?.[list] ?? []) {
      const author = containerOf(templated.name, input.kept[list]) ?? anyContainerOf(templated.name, input.original);
      if (author === undefined) continue;
      const override = withoutAuto(author, templated, input.openShift);
      found[list].push(override);
      pod = overlayContainer(pod, list, override);
    }
  }
  if (!input.alreadyInjected && (found.containers.length > 0 || found.initContainers.length > 0)) {
    const lists = Object.fromEntries(Object.entries(found).filter(([, items]) => items.length > 0));
    pod = withMeta(pod, { annotations: { ...annotationsOf(pod), [overridesAnnotation]: overridesText(lists) } });
  }
  return followUser(pod, input);
}

function overlayContainer(pod: Pod, list: 'containers' | 'initContainers', override: Container): Pod {
  const containers = (pod.spec?.[list] ?? []).map((container) =>
    container.name === override.name ? mergeContainer(container, override) : container,
  );
  return { ...pod, spec: { ...pod.spec, [list]: containers } };
}

// `image: auto` asks for the injector's image. OpenShift has by then written its own user and group into such a
// container, which the author did not choose.
function withoutAuto(container: Container, template: Container, openShift: boolean): Container {
  const { image, ...rest } = container;
  if (image !== autoImage) return { ...container, resources: canonicalResources(container.resources ?? {}) };
  const security = rest.securityContext;
  const withResources = { ...rest, resources: canonicalResources(rest.resources ?? {}) };
  if (!openShift || !isObject(security) || !isObject(template.securityContext)) return withResources;
  const { runAsUser: _user, runAsGroup: _group, ...kept } = security;
  return { ...withResources, securityContext: kept };
}

/**
 * Redirection exempts the proxy's own traffic by its user, so the init container must name the user that the author
 * gave the proxy. With TPROXY the proxy itself must stay root.
 */
function followUser(pod: Pod, input: OverrideInput): Pod {
  const author = anyContainerOf(proxyName, input.original);
  const user = author?.securityContext?.['runAsUser'];
  const group = author?.securityContext?.['runAsGroup'];
  if (typeof user !== 'number' && typeof group !== 'number') return pod;
  if (input.openShift && author?.image === autoImage) return pod;
  const initContainers = pod.spec?.initContainers?.map((container) => {
    const redirects = container.name === initName || container.name === validationName;
    return redirects ? adjustUser(container, user, group) : container;
  });
  const adjusted = initContainers === undefined ? pod : { ...pod, spec: { ...pod.spec, initContainers } };
  if (input.interceptionMode !== 'TPROXY') return adjusted;
  return withProxy(adjusted, (proxy) => ({ ...proxy, securityContext: { ...proxy.securityContext, runAsUser: 0 } }));
}

function adjustUser(container: Container, user: unknown, group: unknown): Container {
  const args = [...(container.args ?? [])];
  const at = args.indexOf('-u');
  if (typeof user === 'number' && at >= 0) args[at + 1] = String(user);
  if (container.name !== validationName) return { ...container, args };
  const security: JsonObject = {
    ...container.securityContext,
    ...(typeof user === 'number' ? { runAsUser: user } : {}),
    ...(typeof group === 'number' ? { runAsGroup: group } : {}),
  };
  return { ...container, args, securityContext: security };
}
