// `meltemi check-inject`: what injection does with a pod, or with pods of a namespace, and why.
import { Command } from 'commander';
import { clusterReader } from '../config/sources/kube-reader.ts';
import {
  explainInjection,
  explainWebhooks,
  type InjectionExplanation,
  type RevisionSettings,
} from '../webhook/explain.ts';
import type { Pod } from '../webhook/pod.ts';
import type { WebhookConfiguration } from '../webhook/registration.ts';
import { openCluster } from './cluster.ts';
import { type InjectionOptions, settingsOfCluster, viewOf } from './injection-settings.ts';
import { formatTable } from './print.ts';

interface Options extends InjectionOptions {
  readonly namespace: string;
  readonly labels?: string;
  readonly output: string;
}

/** `meltemi check-inject [pod]`. Exit code 0 in any case that could be explained. */
export function checkInjectCommand(): Command {
  return new Command('check-inject')
    .description('Explain whether pods get a sidecar, and why')
    .argument('[pod]', 'a pod of the namespace; without one, pods that say nothing themselves')
    .option('-n, --namespace <namespace>', 'namespace of the pod', 'default')
    .option('-l, --labels <labels>', 'labels of a pod that does not exist yet, as key=value,…')
    .option('-o, --output <format>', 'table or json', 'table')
    .option('--injectConfigMapName <name>', 'ConfigMap of the injector', 'istio-sidecar-injector')
    .option('--meshConfigMapName <name>', 'ConfigMap of the mesh', 'istio')
    .option('-i, --istioNamespace <namespace>', 'namespace of the control plane', 'istio-system')
    .option('-r, --revision <revision>', 'take the settings of this revision, whichever webhook is called', '')
    .option('--kubeconfig <path>', 'kubeconfig of the cluster')
    .option('--context <name>', 'context of the kubeconfig')
    .action(async (podName: string | undefined, options: Options) => {
      using api = await openCluster(options);
      const reader = clusterReader(api);
      const labels = await reader.namespaceLabels(options.namespace);
      if (labels === undefined) throw new Error(`there is no namespace ${options.namespace}`);
      const pod = podName === undefined ? podOf(options.labels) : await reader.pod(options.namespace, podName);
      if (pod === undefined) throw new Error(`there is no pod ${podName} in namespace ${options.namespace}`);
      const question = { namespace: { name: options.namespace, labels }, pod: pod as Pod };
      const configurations = (await reader.mutatingWebhooks()) as readonly WebhookConfiguration[];
      const webhooks = explainWebhooks(question, configurations);
      const settings = new Map<string, RevisionSettings>();
      for (const { called, revision } of webhooks) {
        if (!called || settings.has(revision)) continue;
        const { read, notes } = await settingsOfCluster(reader, options, options.revision || revision);
        settings.set(revision, read);
        for (const note of notes) console.error(note);
      }
      const settingsFor = (revision: string) => settings.get(revision) ?? { problem: 'they were not read' };
      const view = viewOf(await reader.kubeletVersions());
      print(explainInjection(question, webhooks, settingsFor, view), options.output);
    });
}

function podOf(labels: string | undefined): Pod {
  const pairs = (labels ?? '').split(',').filter((pair) => pair.trim() !== '');
  return {
    metadata: {
      labels: Object.fromEntries(
        pairs.map((pair) => {
          const at = pair.indexOf('=');
          if (at <= 0) throw new Error(`${JSON.stringify(pair)} is no label; write key=value`);
          return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
        }),
      ),
    },
    spec: { containers: [] },
  };
}

const outcomes = { injected: 'Injected', 'left alone': 'Not injected', refused: 'Refused' } as const;

function print(explanation: InjectionExplanation, format: string): void {
  if (format === 'json') {
    console.log(JSON.stringify(explanation, undefined, 2));
    return;
  }
  const rows = explanation.webhooks.map((webhook) => [
    webhook.configuration,
    webhook.webhook,
    webhook.tag ?? webhook.revision,
    webhook.called ? 'yes' : 'no',
    webhook.reason,
  ]);
  console.log(formatTable(['CONFIGURATION', 'WEBHOOK', 'REVISION', 'CALLED', 'REASON'], rows));
  const { outcome, reason, templates, proxy, warnings } = explanation;
  console.log(`\n${outcomes[outcome]}: ${reason}`);
  if (templates !== undefined) console.log(`Templates: ${templates.join(', ')}. Proxy: ${proxy}.`);
  for (const warning of warnings) console.log(`Warning: ${warning}`);
}
