// Runs suites/inject: `kube-inject` output and webhook output of every case against those of Istio.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { applyPatch } from 'rfc6902';
import { parseAllDocuments } from 'yaml';
import { injectAdmitted } from '../../webhook/admit.ts';
import { policyOf } from '../../webhook/config-map.ts';
import type { ClusterView, InjectionSettings } from '../../webhook/context.ts';
import { isObject, type JsonObject, listOf, memberAt, objectOf } from '../../webhook/json.ts';
import { meshSettingsOf } from '../../webhook/mesh-settings.ts';
import type { Pod } from '../../webhook/pod.ts';
import { proxyDefaultsOf, valuesOf } from '../../webhook/values.ts';
import { injectObject } from '../../webhook/workload.ts';
import type { Outcome } from './runner.ts';

interface Case {
  readonly name: string;
  readonly settings: JsonObject;
  readonly input: string;
  readonly kubeInject?: JsonObject;
  readonly webhook?: readonly JsonObject[];
  readonly expectedErrorContains?: string;
}

/** Runs every case of the folder; `out` gets one line for each that fails, with the first differences. */
export async function run(folder: string, out: (line: string) => void, show = ''): Promise<Outcome> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json') && !name.startsWith('_')).sort();
  if (names.length === 0) throw new Error(`no cases in ${folder}`);
  const defaultMesh: unknown = JSON.parse(await readFile(join(folder, '_default-mesh.json'), 'utf8'));
  let passed = 0;
  for (const name of names) {
    const testCase: Case = JSON.parse(await readFile(join(folder, name), 'utf8'));
    const differences = runCase(testCase, objectOf(defaultMesh));
    if (differences.length === 0) passed++;
    else out(`FAIL ${name}: ${differences.slice(0, show !== '' && name.includes(show) ? 1_000 : 6).join('\n  ')}`);
  }
  return { passed, failed: names.length - passed, skipped: 0 };
}

function runCase(testCase: Case, defaultMesh: JsonObject): readonly string[] {
  const local = testCase.kubeInject === undefined ? [] : compareKubeInject(testCase, testCase.kubeInject, defaultMesh);
  const remote = (testCase.webhook ?? []).flatMap((call) => compareWebhook(testCase, call, defaultMesh));
  return [...local.map((line) => `kube-inject ${line}`), ...remote.map((line) => `webhook ${line}`)];
}

function settingsOf(testCase: Case, defaultMesh: JsonObject, revision: string): InjectionSettings {
  const given = testCase.settings;
  const values = valuesOf(given['values']);
  const mesh = mergeMesh(defaultMesh, objectOf(given['meshConfig']), proxyDefaultsOf(values));
  const read = meshSettingsOf([mesh]);
  if ('problem' in read) throw new Error(read.problem);
  const mode = given['nativeSidecarMode'];
  const { defaultTemplates, templateAliases, injectedAnnotations, ...policy } = policyOf({}, given['values']);
  return {
    policy,
    defaultTemplates,
    templateAliases,
    injectedAnnotations,
    values,
    mesh: read.settings,
    revision,
    nativeSidecars: mode === '2' ? 'auto' : mode === '0' ? 'enabled' : 'disabled',
    compliancePolicy: String(memberAt(given, 'env', 'COMPLIANCE_POLICY') ?? ''),
    openShift: given['platform'] === 'openshift',
  };
}

// The suite gives the fields that differ from its default and from what the chart renders of the values; `defaultConfig` is merged one level deeper.
function mergeMesh(base: JsonObject, difference: JsonObject, rendered: JsonObject): JsonObject {
  const merged: Record<string, unknown> = { ...base, ...difference };
  merged['defaultConfig'] = {
    ...objectOf(base['defaultConfig']),
    ...rendered,
    ...objectOf(difference['defaultConfig']),
  };
  for (const field of listOf(difference['_unset'])) delete merged[String(field)];
  return merged;
}

// The suite's nodes are those of the cluster named Kubernetes; `kube-inject` knows one cluster only.
function clusterOf(testCase: Case, anyCluster: boolean): ClusterView {
  const versions = listOf(testCase.settings['nodeKubeletVersions']).map(String);
  const namespaces = objectOf(testCase.settings['namespaceAnnotations']);
  return {
    kubeletVersions: (clusterId, node) =>
      (anyCluster || clusterId === 'Kubernetes') && node === undefined ? versions : [],
    namespaceAnnotations: (namespace) =>
      isObject(namespaces[namespace]) ? (namespaces[namespace] as Record<string, string>) : undefined,
    proxyConfigs: () => [],
  };
}

function compareKubeInject(testCase: Case, wanted: JsonObject, defaultMesh: JsonObject): readonly string[] {
  const settings = settingsOf(testCase, defaultMesh, '');
  const cluster = clusterOf(testCase, true);
  const results = documents(testCase.input).map((object) => injectObject(object, settings, cluster));
  const problems = results.flatMap((result) => (result.kind === 'refused' ? result.problems : []));
  if (wanted['error'] !== undefined) return compareError(problems.join('\n'), String(wanted['error']));
  if (problems.length > 0) return [`refused: ${problems.join('; ')}`];
  const objects = results.flatMap((result) => (result.kind === 'refused' ? [] : [result.object]));
  const warnings = results.flatMap((result) => (result.kind === 'refused' ? [] : result.skipped));
  const wantedWarnings = listOf(wanted['warnings']).map((text) => String(text).trim());
  return [
    ...differences(comparable(objects), comparable(documents(String(wanted['output']))), ''),
    ...differences(warnings, wantedWarnings, 'warnings'),
  ];
}

function documents(text: string): readonly JsonObject[] {
  return parseAllDocuments(text, { logLevel: 'silent' })
    .map((document) => document.toJS() as unknown)
    .filter(isObject);
}

function compareWebhook(testCase: Case, call: JsonObject, defaultMesh: JsonObject): readonly string[] {
  const settings = settingsOf(testCase, defaultMesh, 'default');
  const pod = call['inputPod'] as Pod;
  const namespace = String(call['namespace'] ?? '');
  const answer = injectAdmitted({ pod, namespace, proxyEnv: {} }, settings, clusterOf(testCase, false));
  if (call['allowed'] === false) {
    if (answer.kind !== 'refused') return ['was allowed'];
    return compareError(answer.problems.join('\n'), String(call['message']));
  }
  if (answer.kind === 'refused') return [`refused: ${answer.problems.join('; ')}`];
  if (call['patched'] !== (answer.kind === 'injected')) return [`patched is not ${String(call['patched'])}`];
  if (answer.kind !== 'injected') return [];
  const patched: unknown = structuredClone(pod);
  const failures = applyPatch(patched, structuredClone([...answer.patch]) as never).filter((e) => e !== null);
  if (failures.length > 0) return failures.map((e) => `patch does not apply: ${e?.message}`);
  return differences(comparable(patched), comparable(call['outputPod']), '');
}

// Texts of errors are Go's; what counts is that there is one and that it names the annotation.
function compareError(text: string, wanted: string): readonly string[] {
  if (text === '') return [`was accepted, wanted: ${wanted}`];
  const annotation = /annotation '([^']+)'/.exec(wanted)?.[1];
  return annotation === undefined || text.includes(annotation) ? [] : [`error does not name ${annotation}: ${text}`];
}

/** What the suite's judge ignores is taken out: order of environment and volumes, the status' version. */
function comparable(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => comparable(item));
    const isUnordered = key === 'env' || key === 'volumes';
    return isUnordered ? items.sort((a, b) => compareNames(a, b)) : items;
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null && member !== undefined)
      .map(([name, member]) => [name, comparable(member, name)]),
  );
}

function compareNames(a: unknown, b: unknown): number {
  const [x, y] = [a, b].map((item) => String(objectOf(item)['name']));
  return x === y ? 0 : (x ?? '') < (y ?? '') ? -1 : 1;
}

function differences(have: unknown, want: unknown, path: string): readonly string[] {
  if (Array.isArray(have) && Array.isArray(want)) {
    const length = Math.max(have.length, want.length);
    return Array.from({ length }, (_, i) => differences(have[i], want[i], `${path}[${i}]`)).flat();
  }
  if (isObject(have) && isObject(want)) {
    const keys = [...new Set([...Object.keys(have), ...Object.keys(want)])].sort();
    return keys.flatMap((key) => differences(have[key], want[key], `${path}.${key}`));
  }
  if (Object.is(have, want)) return [];
  return [`${path}: have ${brief(have)}, want ${brief(want)}`];
}

function brief(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 400);
}
