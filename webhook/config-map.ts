// Reads the injector's configuration as ConfigMaps hold it: policy, templates and values; and the mesh's.
import { type Diagnostic, errorOf } from '../config/diagnostic.ts';
import { parseYaml } from '../config/yaml.ts';
import type { InjectionSettings } from './context.ts';
import type { InjectionPolicy } from './decide.ts';
import { isObject, listOf, memberAt, objectOf } from './json.ts';
import { meshSettingsOf } from './mesh-settings.ts';
import { selectorsOf } from './selector.ts';
import { templates } from './template.ts';
import { proxyDefaultsOf, valuesOf } from './values.ts';

/** The settings that the key `config` holds. */
export type InjectorConfig = InjectionPolicy &
  Pick<InjectionSettings, 'defaultTemplates' | 'templateAliases' | 'injectedAnnotations'>;

/** Texts of the ConfigMaps; what is absent takes its defaults. */
export interface InjectorSources {
  /** ConfigMap `istio-sidecar-injector`, key `config` (YAML). */
  readonly config?: string;
  /** The same, key `values` (JSON). */
  readonly values?: string;
  /** ConfigMap `istio`, key `mesh` (YAML). */
  readonly mesh?: string;
  /** Mesh configuration over which that one is laid (SHARED_MESH_CONFIG). */
  readonly sharedMesh?: string;
}

/** What the process itself knows: flags and environment. */
export type ProcessSettings = Pick<InjectionSettings, 'revision' | 'nativeSidecars' | 'compliancePolicy' | 'openShift'>;

/** Templates of Istio's chart that render objects of the gateway controller, not pods: known, but not for injection. */
const otherTemplates: ReadonlySet<string> = new Set(['kube-gateway', 'agentgateway', 'agentgateway-waypoint']);

/**
 * Builds the settings for injection. Templates are built in: those of Istio's chart are taken by their names and their
 * text is not read; a template of another name is the user's own and refused, because it would silently do nothing.
 */
export function readSettings(
  sources: InjectorSources,
  own: ProcessSettings,
): { readonly settings: InjectionSettings } | { readonly diagnostics: readonly Diagnostic[] } {
  const config = document('config', sources.config);
  const values = document('values', sources.values);
  const meshes = [document('shared mesh', sources.sharedMesh), document('mesh', sources.mesh)];
  const diagnostics = [config, values, ...meshes].flatMap((each) => each.diagnostics);
  if (diagnostics.length > 0) return { diagnostics };
  const injector = policyOf(config.value, values.value);
  const read = valuesOf(values.value);
  const meshSettings = meshSettingsOf(
    meshes.map(({ value }) => value),
    proxyDefaultsOf(read),
  );
  const problems = [
    ...templateProblems(config.value, values.value, injector),
    ...('problem' in meshSettings ? [errorOf('invalid-value', meshSettings.problem, { path: 'mesh' })] : []),
  ];
  if (problems.length > 0 || 'problem' in meshSettings) return { diagnostics: problems };
  const { defaultTemplates, templateAliases, injectedAnnotations, ...policy } = injector;
  return {
    settings: {
      ...own,
      policy,
      defaultTemplates,
      templateAliases,
      injectedAnnotations,
      values: read,
      mesh: meshSettings.settings,
    },
  };
}

function document(
  name: string,
  text: string | undefined,
): { readonly value?: unknown; readonly diagnostics: readonly Diagnostic[] } {
  if (text === undefined || text.trim() === '') return { diagnostics: [] };
  const { documents, diagnostics } = parseYaml(name, text);
  const errors = diagnostics.filter((finding) => finding.severity === 'error');
  const value = documents[0]?.value;
  if (errors.length > 0 || value === undefined || value === null) return { diagnostics: errors };
  if (!isObject(value)) return { diagnostics: [errorOf('wrong-type', 'is no map', { path: name })] };
  return { value, diagnostics: [] };
}

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
    templateAliases: aliasesOf(memberAt(config, 'aliases') ?? chart('aliases')),
    injectedAnnotations: Object.fromEntries(
      Object.entries(objectOf(either('injectedAnnotations'))).filter(
        (pair): pair is [string, string] => typeof pair[1] === 'string',
      ),
    ),
  };
}

function aliasesOf(raw: unknown): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    Object.entries(objectOf(raw)).map(([alias, names]) => [
      alias,
      listOf(names).filter((name) => typeof name === 'string'),
    ]),
  );
}

function templateProblems(config: unknown, values: unknown, injector: InjectorConfig): readonly Diagnostic[] {
  const custom = [
    ...Object.keys(objectOf(memberAt(config, 'templates'))).map((name) => [name, 'config.templates'] as const),
    ...Object.keys(objectOf(memberAt(values, 'sidecarInjectorWebhook', 'templates'))).map(
      (name) => [name, 'values.sidecarInjectorWebhook.templates'] as const,
    ),
  ];
  const isKnown = (name: string) => Object.hasOwn(templates, name) || otherTemplates.has(name);
  const known = Object.keys(templates).join(', ');
  const help = 'templates of your own (Go text/template) are not supported yet; remove the template';
  const own = custom
    .filter(([name]) => !isKnown(name))
    .map(([name, path]) =>
      errorOf('invalid-value', `template ${JSON.stringify(name)} is not built in`, { path, help }),
    );
  const usable = (name: string) => Object.hasOwn(templates, name) || Object.hasOwn(injector.templateAliases, name);
  const defaults = injector.defaultTemplates
    .filter((name) => !usable(name))
    .map((name) =>
      errorOf('invalid-value', `there is no template ${JSON.stringify(name)}; have ${known}`, {
        path: 'config.defaultTemplates',
      }),
    );
  return [...own, ...defaults];
}
