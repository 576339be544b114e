// `meltemi token`: signs a workload's token with this installation's own key, for running from a folder.
import { rename, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { caDirectory } from '../certs/ca-directory.ts';
import { systemEnvironment } from '../certs/environment.ts';
import { isRefused } from '../certs/refusal.ts';
import { defaultAudience, issueToken, openTokenKey } from '../certs/token-issuer.ts';
import { caDirectoryOption, parseSeconds, rootOptionsOf } from './ca-options.ts';

interface Options {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience: string;
  readonly ttl: string;
  readonly trustDomain: string;
  readonly caDir: string;
  readonly output?: string;
}

/** `meltemi token`. Prints the token, or writes it to a file that only its owner can read. Exit code 1 when refused. */
export function tokenCommand(): Command {
  return new Command('token')
    .description('Issue a token that authenticates a workload to a control plane running from a folder')
    .option('-n, --namespace <name>', "the workload's namespace", 'default')
    .option('-s, --service-account <name>', "the workload's service account", 'default')
    .option('--audience <name>', 'whom the token is for', defaultAudience)
    .option('--ttl <duration>', 'how long it is valid: 30s, 10m, 24h, 7d', '24h')
    .option('--trust-domain <name>', 'named in the root, if this makes it', 'cluster.local')
    .option('-o, --output <file>', 'write to this file (mode 0600) instead of printing')
    .addOption(caDirectoryOption())
    .action(run);
}

async function run(options: Options): Promise<void> {
  const lifetimeSeconds = parseSeconds(options.ttl);
  if (isRefused(lifetimeSeconds)) {
    throw new Error(`--ttl: ${lifetimeSeconds.reason}`);
  }
  const key = await openTokenKey(caDirectory(options.caDir), rootOptionsOf(options.trustDomain), systemEnvironment);
  if (isRefused(key)) {
    throw new Error(`${options.caDir}: ${key.reason}`);
  }
  const { namespace, serviceAccount, audience } = options;
  const token = issueToken(key, { namespace, serviceAccount, audience, lifetimeSeconds }, systemEnvironment);
  if (isRefused(token)) {
    throw new Error(token.reason);
  }
  if (options.output === undefined) {
    process.stdout.write(`${token}\n`);
    return;
  }
  // Envoy may read the file at any moment: it is replaced, never half written.
  const temporary = `${options.output}.${process.pid}.tmp`;
  await writeFile(temporary, token, { mode: 0o600 });
  await rename(temporary, options.output);
}
