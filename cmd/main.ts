// The command line: finds the command, loads only its module, and is the one place that ends the process.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command. A module is loaded when its command is run: `version` need not wait for Kubernetes' client. */
const commands: Readonly<Record<string, CommandEntry>> = {
  up: {
    summary: 'Run a mesh on this machine from a folder of YAML',
    load: async () => (await import('./up.ts')).upCommand(),
  },
  discovery: {
    summary: 'Serve proxies: the control plane',
    load: async () => (await import('./discovery.ts')).discoveryCommand(),
  },
  translate: {
    summary: 'Print what a proxy would get',
    load: async () => (await import('./translate.ts')).translateCommand(),
  },
  validate: {
    summary: 'Check configuration files',
    load: async () => (await import('./validate.ts')).validateCommand(),
  },
  bootstrap: {
    summary: "Print a workload's Envoy bootstrap",
    load: async () => (await import('./bootstrap.ts')).bootstrapCommand(),
  },
  status: {
    summary: 'Show proxies and what they acknowledged',
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  token: {
    summary: 'Issue a workload token (file mode)',
    load: async () => (await import('./token.ts')).tokenCommand(),
  },
  root: { summary: 'Show and rotate the root of trust', load: async () => (await import('./root.ts')).rootCommand() },
  manifest: { summary: 'Print manifests', load: async () => (await import('./manifest.ts')).manifestCommand() },
  'kube-inject': {
    summary: 'Inject sidecars into manifests',
    load: async () => (await import('./kube-inject.ts')).kubeInjectCommand(),
  },
  'check-inject': {
    summary: 'Explain what injection will do',
    load: async () => (await import('./check-inject.ts')).checkInjectCommand(),
  },
  compile: { summary: 'Compile its modules beforehand', load: compileCommand },
  version: { summary: 'Print the version', load: async () => (await import('./version.ts')).versionCommand() },
};

// Compiled modules are kept beside the program, where nobody else can put any: a start then costs half a second less. The
// launcher has said so already; this is for starts without it.
enableCompileCache(join(import.meta.dirname, '..', '.cache', 'compiled'));

/** `meltemi compile`: loads every module, so that Node keeps it. For installation, and images that are not written to. */
async function compileCommand(): Promise<Command> {
  for (const [name, { load }] of Object.entries(commands)) if (name !== 'compile') await load();
  await import('./kubernetes.ts');
  await import('../protos/registry.ts');
  return new Command('compile')
    .description('Compile its modules into .cache/compiled, so that starts find them there')
    .action(() => undefined);
}

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('meltemi')
    .description('A service-mesh control plane.')
    .exitOverride()
    .showHelpAfterError('(see meltemi --help)');
  const entry = Object.hasOwn(commands, argv[0] ?? '') ? commands[argv[0] ?? ''] : undefined;
  if (entry !== undefined) program.addCommand((await entry.load()).exitOverride());
  else for (const [name, { summary }] of Object.entries(commands)) program.command(name).description(summary);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    console.error(`meltemi: ${error instanceof Error ? error.message : String(error)}`);
    if (process.env['MELTEMI_DEBUG'] !== undefined && error instanceof Error) console.error(error.stack);
    return 1;
  }
}

// A reader such as `head` that has seen enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const exitCode = await main(process.argv.slice(2));
// What was written to a pipe may still be on its way, and an exit would cut it off.
await new Promise<void>((done) => process.stdout.write('', () => done()));
await new Promise<void>((done) => process.stderr.write('', () => done()));
process.exit(exitCode);
