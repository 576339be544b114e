// `meltemi manifest webhooks`: the webhook configurations of a revision and of its tags, to be applied to a cluster.
import { Command } from 'commander';
import { stringify } from 'yaml';
import {
  defaultValidatorConfiguration,
  injectorConfiguration,
  type RegistrationOptions,
  tagConfiguration,
  validatorConfiguration,
} from '../webhook/registration.ts';

interface Options {
  readonly namespace: string;
  readonly revision: string;
  readonly tag: readonly string[];
  readonly url?: string;
  readonly injectPath: string;
  readonly reinvocationPolicy: string;
  readonly allNamespaces?: boolean;
}

/** The subcommand. */
export function webhooksCommand(): Command {
  return new Command('webhooks')
    .description('Print the webhook configurations; the control plane adds its root certificate to them')
    .option('-i, --namespace <namespace>', 'namespace of the control plane', 'istio-system')
    .option('-r, --revision <revision>', 'revision of the control plane; the default one unless given', '')
    .option('-t, --tag <tags...>', 'revision tags that shall lead to the revision', [])
    .option('--url <url>', 'base URL of a control plane outside the cluster')
    .option('--injectPath <path>', 'path of the injection webhook, with settings for this cluster', '/inject')
    .option('--reinvocationPolicy <policy>', 'Never or IfNeeded', 'Never')
    .option('--allNamespaces', 'inject into namespaces without any label too')
    .action((options: Options) => {
      process.stdout.write(webhookManifest(options));
    });
}

/** The configurations as one YAML stream. Throws for a policy or name that Kubernetes would refuse. */
export function webhookManifest(options: Options): string {
  const { namespace, revision, url, tag: tags } = options;
  for (const name of [namespace, ...(revision === '' ? [] : [revision]), ...tags]) {
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) throw new Error(`${JSON.stringify(name)} is no DNS label`);
  }
  if (options.reinvocationPolicy !== 'Never' && options.reinvocationPolicy !== 'IfNeeded') {
    throw new Error('--reinvocationPolicy is Never or IfNeeded');
  }
  const isDefault = revision === '' || revision === 'default';
  const registration: RegistrationOptions = {
    target: url === undefined ? { service: isDefault ? 'istiod' : `istiod-${revision}`, namespace } : { url },
    namespace,
    revision,
    injectPath: options.injectPath,
    reinvocationPolicy: options.reinvocationPolicy,
    enableNamespacesByDefault: options.allNamespaces === true,
  };
  const leadsDefault = isDefault || tags.includes('default');
  return [
    injectorConfiguration(registration),
    validatorConfiguration(registration),
    ...(leadsDefault ? [defaultValidatorConfiguration(registration)] : []),
    ...tags.map((name) => tagConfiguration(name, registration)),
  ]
    .map((object) => `---\n${stringify(object, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`)
    .join('');
}
