// The annotation that says what injection added, which makes a second injection find and replace it.
import { isObject, listOf } from './json.ts';
import { annotationsOf, type Pod } from './pod.ts';

/** Name of the status annotation. */
export const statusAnnotation = 'sidecar.istio.io/status';

/** What an injection added to a pod, by name. */
export interface InjectionStatus {
  readonly initContainers: readonly string[];
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
  readonly imagePullSecrets: readonly string[];
}

/** The text of the annotation; lists that are empty are null, as Istio prints them. */
export function statusText(template: Pod, revision: string): string {
  const names = (items: readonly { readonly name: string }[] | undefined) =>
    items === undefined || items.length === 0 ? null : items.map((item) => item.name);
  const { spec } = template;
  return JSON.stringify({
    initContainers: names(spec?.initContainers),
    containers: names(spec?.containers),
    volumes: names(spec?.volumes),
    imagePullSecrets: names(spec?.imagePullSecrets),
    revision: revision === '' ? 'default' : revision,
  });
}

/** The status of an earlier injection; undefined where there was none or it is unreadable. */
export function statusOf(pod: Pod): InjectionStatus | undefined {
  const text = annotationsOf(pod)[statusAnnotation];
  if (text === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(parsed)) return undefined;
  const names = (field: string) =>
    listOf(isObject(parsed) ? parsed[field] : undefined).filter((n) => typeof n === 'string');
  return {
    initContainers: names('initContainers'),
    containers: names('containers'),
    volumes: names('volumes'),
    imagePullSecrets: names('imagePullSecrets'),
  };
}
