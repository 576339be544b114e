// `meltemi kube-inject -f …`: manifests with sidecars, for clusters where no webhook shall do it.
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { formatDiagnostic } from '../config/diagnostic.ts';
import { clusterReader } from '../config/sources/kube-reader.ts';
import { injectText } from '../webhook/kube-inject.ts';
import { openCluster } from './cluster.ts';
import {
  type InjectionOptions,
  isLocal,
  settingsOfCluster,
  settingsOfFiles,
  textOf,
  usable,
  viewOf,
} from './injection-settings.ts';

interface Options extends InjectionOptions {
  readonly filename: string;
  readonly output?: string;
}

/** `meltemi kube-inject`. Exit code 1 where any workload is refused; nothing is written then. */
export function kubeInjectCommand(): Command {
  return new Command('kube-inject')
    .description('Inject sidecars into manifests: YAML in, YAML out')
    .requiredOption('-f, --filename <path>', 'manifests to inject; - for standard input')
    .option('-o, --output <path>', 'where to write; standard output unless given')
    .option('--injectConfigFile <path>', 'the injector configuration (key `config` of its ConfigMap)')
    .option('--meshConfigFile <path>', 'the mesh configuration')
    .option('--valuesFile <path>', 'the injector values (JSON or YAML)')
    .option('--injectConfigMapName <name>', 'ConfigMap of the injector', 'istio-sidecar-injector')
    .option('--meshConfigMapName <name>', 'ConfigMap of the mesh', 'istio')
    .option('-i, --istioNamespace <namespace>', 'namespace of the control plane', 'istio-system')
    .option('-r, --revision <revision>', 'revision of the control plane', '')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster to read settings from')
    .option('--context <name>', 'context of the kubeconfig')
    .action(async (options: Options) => {
      const { settings, view } = await settingsFor(options);
      const result = injectText(options.filename, await textOf(options.filename), settings, view);
      for (const warning of result.warnings) console.error(warning);
      for (const diagnostic of result.diagnostics) console.error(formatDiagnostic(diagnostic));
      if (result.output === undefined) {
        process.exitCode = 1;
        return;
      }
      if (options.output === undefined) process.stdout.write(result.output);
      else await writeFile(options.output, result.output);
    });
}

async function settingsFor(options: Options) {
  if (isLocal(options)) return { settings: await settingsOfFiles(options), view: viewOf(new Map()) };
  using api = await openCluster(options);
  const reader = clusterReader(api);
  const { read, notes } = await settingsOfCluster(reader, options);
  for (const note of notes) console.error(note);
  return {
    settings: usable(read),
    view: viewOf(await reader.kubeletVersions()),
  };
}
