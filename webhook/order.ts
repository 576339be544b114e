// Where the injected containers stand among the pod's own.
import { type Container, initName, type Pod, proxyName, validationName } from './pod.ts';

/**
 * Puts the containers in their places. A native sidecar follows redirection and precedes all other init containers;
 * else redirection comes last, so that init containers keep their network, and its check first. The proxy is the last
 * container, so that tools choose the application by default, unless the application is to wait for it.
 */
export function orderContainers(pod: Pod, holdApplication: boolean): Pod {
  const { spec } = pod;
  const containers = place(spec?.containers, proxyName, holdApplication ? 'first' : 'last');
  const init = spec?.initContainers;
  const isNative = init?.some((container) => container.name === proxyName) ?? false;
  const ordered = isNative
    ? place(place(place(init, proxyName, 'first'), validationName, 'first'), initName, 'first')
    : place(place(init, validationName, 'first'), initName, 'last');
  return {
    ...pod,
    spec: {
      ...spec,
      ...(containers === undefined ? {} : { containers }),
      ...(ordered === undefined ? {} : { initContainers: ordered }),
    },
  };
}

function place(
  containers: readonly Container[] | undefined,
  name: string,
  where: 'first' | 'last',
): readonly Container[] | undefined {
  const chosen = containers?.find((container) => container.name === name);
  if (containers === undefined || chosen === undefined) return containers;
  const others = containers.filter((container) => container.name !== name);
  return where === 'first' ? [chosen, ...others] : [...others, chosen];
}
