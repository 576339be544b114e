// `meltemi manifest`: prints what is applied to a cluster.
import { Command } from 'commander';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../config/crd.ts';
import { type RbacOptions, rbacObjects } from './kube/rbac.ts';
import { webhooksCommand } from './webhook-manifest.ts';

/** The command and its subcommands. */
export function manifestCommand(): Command {
  const command = new Command('manifest').description('Print manifests');
  command
    .command('crds')
    .description('Print the CustomResourceDefinitions of all mesh kinds as YAML')
    .action(() => {
      process.stdout.write(crdManifest());
    });
  command.addCommand(webhooksCommand());
  command
    .command('rbac')
    .description('Print the service account of the control plane and the rights that it needs as YAML')
    .option('-n, --namespace <namespace>', 'namespace of the control plane', 'istio-system')
    .option('--revision <revision>', 'revision of the control plane', '')
    .option('--rootConfigMap <name>', 'name of the ConfigMap with the roots, as PILOT_CA_CERT_CONFIGMAP has it')
    .option('--crlConfigMap <name>', 'name of the ConfigMap with revocation lists, as PILOT_CRL_CONFIGMAP has it')
    .option('--cacerts', 'for USE_CACERTS_FOR_SELF_SIGNED_CA')
    .action((options: RbacOptions) => {
      process.stdout.write(rbacManifest(options));
    });
  return command;
}

/** The service account, roles and bindings as one YAML stream; the same bytes every time. */
export function rbacManifest(options: RbacOptions): string {
  return streamOf(rbacObjects(options));
}

/** The definitions as one YAML stream; the same bytes every time. */
export function crdManifest(): string {
  return streamOf(customResourceDefinitions());
}

function streamOf(documents: readonly unknown[]): string {
  return documents
    .map((document) => `---\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`)
    .join('');
}
