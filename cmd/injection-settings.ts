// The injector's settings for commands: from local files, or from a cluster's ConfigMaps.
import { readFile, stat } from 'node:fs/promises';
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { ClusterReader } from '../config/sources/kube-reader.ts';
import { type InjectorSources, readSettings } from '../webhook/config-map.ts';
import type { ClusterView, InjectionSettings } from '../webhook/context.ts';
import type { RevisionSettings } from '../webhook/explain.ts';

/** Options that `kube-inject` and `check-inject` share; names as istioctl has them. */
export interface InjectionOptions {
  readonly injectConfigFile?: string;
  readonly meshConfigFile?: string;
  readonly valuesFile?: string;
  readonly injectConfigMapName: string;
  readonly meshConfigMapName: string;
  readonly istioNamespace: string;
  readonly revision: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Whether the options name local files, so that no cluster is asked. */
export function isLocal(options: InjectionOptions): boolean {
  return [options.injectConfigFile, options.meshConfigFile, options.valuesFile].some((file) => file !== undefined);
}

/** Settings from files; what no file gives takes its default. Throws with the finding where they are unsound. */
export async function settingsOfFiles(options: InjectionOptions): Promise<InjectionSettings> {
  const { injectConfigFile: config, valuesFile: values, meshConfigFile: mesh } = options;
  const read = settingsOf(
    {
      ...(config === undefined ? {} : { config: await textOf(config) }),
      ...(values === undefined ? {} : { values: await textOf(values) }),
      ...(mesh === undefined ? {} : { mesh: await textOf(mesh) }),
    },
    options,
  );
  return usable(read);
}

/** What the ConfigMaps of a revision say, and where they say nothing. */
export interface ClusterSettings {
  readonly read: RevisionSettings;
  /** Sentences about defaults that were taken. */
  readonly notes: readonly string[];
}

/** Settings from the ConfigMaps of a revision; like the control plane, what is absent takes its default. */
export async function settingsOfCluster(
  reader: ClusterReader,
  options: InjectionOptions,
  revision = options.revision,
): Promise<ClusterSettings> {
  const suffix = revision === '' || revision === 'default' ? '' : `-${revision}`;
  const names = { injector: `${options.injectConfigMapName}${suffix}`, mesh: `${options.meshConfigMapName}${suffix}` };
  const injector = await reader.configMap(options.istioNamespace, names.injector);
  const mesh = await reader.configMap(options.istioNamespace, names.mesh);
  const { config, values } = injector ?? {};
  const absent = [...(injector === undefined ? [names.injector] : []), ...(mesh === undefined ? [names.mesh] : [])];
  return {
    read: settingsOf(
      {
        ...(config === undefined ? {} : { config }),
        ...(values === undefined ? {} : { values }),
        ...(mesh?.['mesh'] === undefined ? {} : { mesh: mesh['mesh'] }),
      },
      { ...options, revision },
    ),
    notes: absent.map(
      (name) => `There is no ConfigMap ${name} in namespace ${options.istioNamespace}: its defaults count.`,
    ),
  };
}

/** The settings. Throws with the findings where they are unsound. */
export function usable(read: RevisionSettings): InjectionSettings {
  if ('problem' in read) throw new Error(read.problem);
  return read.settings;
}

/** A view of the cluster with these nodes' kubelets, of whichever cluster is asked for. */
export function viewOf(kubeletVersions: ReadonlyMap<string, string>): ClusterView {
  const all = [...kubeletVersions.values()];
  return {
    kubeletVersions: (_cluster, node) => {
      if (node === undefined) return all;
      const version = kubeletVersions.get(node);
      return version === undefined ? [] : [version];
    },
    namespaceAnnotations: () => undefined,
    proxyConfigs: () => [],
  };
}

function settingsOf(sources: InjectorSources, options: InjectionOptions): RevisionSettings {
  const native = process.env['ENABLE_NATIVE_SIDECARS'];
  const read = readSettings(sources, {
    revision: options.revision,
    nativeSidecars: native === 'true' ? 'enabled' : native === 'false' ? 'disabled' : 'auto',
    compliancePolicy: process.env['COMPLIANCE_POLICY'] ?? '',
    openShift: false,
  });
  return 'diagnostics' in read ? { problem: read.diagnostics.map(formatDiagnostic).join('\n') } : read;
}

/** The largest file that is read, in bytes. */
const maximumFile = 16 * 1024 * 1024;

/** Reads a text file of bounded size; `-` is standard input. */
export async function textOf(path: string): Promise<string> {
  if (path === '-') return standardInput();
  const { size } = await stat(path);
  if (size > maximumFile) throw new Error(`${path} is larger than ${maximumFile} bytes`);
  return readFile(path, 'utf8');
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    size += chunk.length;
    if (size > maximumFile) throw new Error(`standard input is larger than ${maximumFile} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
