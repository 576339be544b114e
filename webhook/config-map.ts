// Reads the injector's ConfigMap: policy, selectors and templates (key `config`), values (key `values`).
import type { InjectionSettings } from './context.ts';
import type { InjectionPolicy } from './decide.ts';
import { listOf, memberAt, objectOf } from './json.ts';
import { selectorsOf } from './selector.ts';

/** The settings that the key `config` holds. */
export type InjectorConfig = InjectionPolicy &
  Pick<InjectionSettings, 'defaultTemplates' | 'templateAliases' | 'injectedAnnotations'>;

/**
 * Reads the parsed key `config`; what it lacks is taken from the values' `sidecarInjectorWebhook` and
 * `global.proxy.autoInject`, from which the chart renders it.
 */
export function policyOf(config: unknown, values: unknown): InjectorConfig {
  const chart = (...path: readonly string[]) => memberAt(values, 'sidecarInjectorWebhook', ...path);
  const either = (field: string) => memberAt(config, field) ?? chart(field);
  const policy = memberAt(config, 'policy') ?? memberAt(values, 'global', 'proxy', 'autoInject');
  const named = listOf(either('defaultTemplates')).filter((name) => typeof name === 'string');
  return {
    // Anything else than `disabled` or `enabled` is an error to Istio, which then injects nothing.
    policy: policy === undefined || policy === 'enabled' ? 'enabled' : 'disabled',
    alwaysInjectSelector: selectorsOf(either('alwaysInjectSelector')),
    neverInjectSelector: selectorsOf(either('neverInjectSelector')),
    defaultTemplates: named.length === 0 ? ['sidecar'] : named,
    templateAliases: Object.fromEntries(
      Object.entries(objectOf(memberAt(config, 'aliases') ?? chart('aliases'))).map(([alias, names]) => [
        alias,
        listOf(names).filter((name) => typeof name === 'string'),
      ]),
    ),
    injectedAnnotations: Object.fromEntries(
      Object.entries(objectOf(either('injectedAnnotations'))).filter(
        (pair): pair is [string, string] => typeof pair[1] === 'string',
      ),
    ),
  };
}
