// Injection into a text of manifests: YAML or JSON in, YAML out, what is no workload passes through as it was written.
import { type Document, parseAllDocuments, stringify, type Tags } from 'yaml';
import { type Diagnostic, errorOf } from '../config/diagnostic.ts';
import { parseYaml } from '../config/yaml.ts';
import type { ClusterView, InjectionSettings } from './context.ts';
import { isObject, memberAt } from './json.ts';
import { injectObject, type WorkloadResult } from './workload.ts';

/** The new text, or why there is none: a text is injected as a whole or not at all. */
export interface InjectedText {
  readonly output?: string;
  /** Workloads that were left alone, one sentence each. */
  readonly warnings: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Kubernetes reads YAML 1.1: `0644` is an octal number, and a text `yes` must be quoted. Of its types only those are
 * known that JSON has as well.
 */
const kubernetesYaml = {
  version: '1.1',
  schema: 'yaml-1.1',
  merge: true,
  customTags: (tags: Tags): Tags =>
    tags.filter((tag) => typeof tag === 'string' || !/:(timestamp|binary|omap|pairs|set)$/.test(tag.tag)),
} as const;

/** Injects every workload of a text. `file` names it in messages. */
export function injectText(
  file: string,
  text: string,
  settings: InjectionSettings,
  cluster: ClusterView,
): InjectedText {
  // Within its limits first; the second reading keeps comments.
  const { diagnostics } = parseYaml(file, text);
  if (diagnostics.some((finding) => finding.severity === 'error')) return { warnings: [], diagnostics };
  const documents = parseAllDocuments(text, { ...kubernetesYaml, logLevel: 'silent' });
  const parts: string[] = [];
  const warnings: string[] = [];
  const problems: Diagnostic[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value === null || value === undefined) continue;
    if (!isObject(value)) {
      problems.push(
        errorOf('not-an-object', 'the document is no Kubernetes object', { position: { file, line: 1, column: 1 } }),
      );
      continue;
    }
    const result = injectObject(value, settings, cluster);
    if (result.kind === 'refused') problems.push(...result.problems.map((problem) => problemOf(value, problem)));
    else {
      parts.push(textOf(result, document));
      warnings.push(...result.skipped);
    }
  }
  if (problems.length > 0) return { warnings, diagnostics: problems };
  return { output: parts.map((part) => `${part.trimEnd()}\n---\n`).join(''), warnings, diagnostics: [] };
}

function textOf(result: Exclude<WorkloadResult, { kind: 'refused' }>, document: Document): string {
  const isAsWritten = result.kind === 'unchanged' && result.skipped.length === 0;
  return isAsWritten
    ? document.toString({ directives: false, lineWidth: 0 })
    : stringify(result.object, { ...kubernetesYaml, lineWidth: 0, aliasDuplicateObjects: false });
}

function problemOf(object: { readonly [key: string]: unknown }, problem: string): Diagnostic {
  const text = (...path: readonly string[]) => {
    const value = memberAt(object, ...path);
    return typeof value === 'string' ? value : '';
  };
  const ref = { kind: text('kind'), namespace: text('metadata', 'namespace'), name: text('metadata', 'name') };
  return errorOf('invalid-value', `failed to run injection template: ${problem}`, { object: ref });
}
