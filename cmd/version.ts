// `meltemi version`.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';

/** The version in package.json. */
export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** `meltemi version`. */
export function versionCommand(): Command {
  return new Command('version').description('Print the version').action(() => {
    console.log(version());
  });
}
