// `meltemi manifest`: prints what is applied to a cluster.
import { Command } from 'commander';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../config/crd.ts';
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
  return command;
}

/** The definitions as one YAML stream; the same bytes every time. */
export function crdManifest(): string {
  return customResourceDefinitions()
    .map((definition) => `---\n${stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false })}`)
    .join('');
}
