// `meltemi validate -f …`: checks files as the server and the webhook do, and shows where each finding stands.
import { Command } from 'commander';
import { hasErrors } from '../config/diagnostic.ts';
import { readFiles } from './files.ts';
import { formatWithFrame } from './print.ts';

interface Options {
  readonly filename: string[];
  readonly output: string;
  readonly strict?: boolean;
}

/** `meltemi validate`. Exit code 0 without errors, 1 with errors (or warnings, with --strict). */
export function validateCommand(): Command {
  return new Command('validate')
    .description('Check configuration files')
    .requiredOption('-f, --filename <path...>', 'files or folders')
    .option('-o, --output <format>', 'text or json', 'text')
    .option('--strict', 'treat warnings as errors')
    .action(async (options: Options) => {
      const { changes, diagnostics } = await readFiles(options.filename);
      if (options.output === 'json') console.log(JSON.stringify(diagnostics, undefined, 2));
      else {
        for (const diagnostic of diagnostics) console.log(`${formatWithFrame(diagnostic)}\n`);
        const errors = diagnostics.filter((d) => d.severity === 'error').length;
        const warnings = diagnostics.filter((d) => d.severity === 'warning').length;
        console.log(`${changes.length} objects, ${errors} errors, ${warnings} warnings`);
      }
      process.exitCode = hasErrors(diagnostics) || (options.strict === true && diagnostics.length > 0) ? 1 : 0;
    });
}
