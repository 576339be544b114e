// `meltemi root`: shows the root of trust and drives its rotation; the server takes the steps when all proxies are ready.
import { Command } from 'commander';
import { fingerprintOf } from '../certs/bundle.ts';
import { type CaStore, readRecord } from '../certs/ca-record.ts';
import type { Certificate } from '../certs/certificate.ts';
import { systemEnvironment } from '../certs/environment.ts';
import { isRefused, type Refusal } from '../certs/refusal.ts';
import { type Rotation, rotationOf } from '../certs/rotation.ts';
import { beginRotation, steerRotation } from '../certs/rotation-driver.ts';
import { caDirectoryOption, defaultCaDirectory, rootOptionsOf } from './ca-options.ts';
import { formatTable } from './print.ts';
import { openRootPlace, type RootChoice, type RootPlace, type ServerProgress } from './root-place.ts';

interface Options extends RootChoice {
  readonly output?: string;
}

const meanings: Readonly<Record<Rotation['step'], string>> = {
  steady: 'one root signs and is trusted',
  'trust-both': '1 of 3: the old root signs, both are trusted; next: the new root signs',
  'sign-new': '2 of 3: the new root signs, both are trusted; next: the old root is dropped',
};

/** `meltemi root [show|rotate|hold|resume|cancel]`. Exit code 1 when the order is refused. */
export function rootCommand(): Command {
  const command = new Command('root').description('Show and rotate the root of trust');
  const subcommand = (
    name: string,
    description: string,
    action: (place: RootPlace, options: Options) => Promise<void>,
  ): Command =>
    new Command(name)
      .description(description)
      // Its default would name a folder even where a cluster is meant.
      .addOption(caDirectoryOption().default(undefined, defaultCaDirectory))
      .option('-n, --namespace <namespace>', "the control plane's namespace, in a cluster")
      .option('--kubeconfig <path>', 'kubeconfig of the cluster')
      .option('--context <name>', 'context of the kubeconfig')
      .action(async (options: Options) => {
        using place = await openRootPlace(options, process.env);
        await action(place, options);
      });
  const shown = subcommand('show', 'Show roots, signer and rotation', show);
  command.addCommand(shown.option('-o, --output <format>', 'text or json', 'text'), { isDefault: true });
  command.addCommand(
    subcommand('rotate', 'Begin a rotation to a new root; the servers take its steps', async ({ store }) =>
      report(await beginRotation(store, rootOptionsOf(await organisationOf(store)), systemEnvironment)),
    ),
  );
  const steer = (order: 'hold' | 'resume' | 'cancel', description: string): Command =>
    subcommand(order, description, async ({ store }) => report(await steerRotation(store, order)));
  command.addCommand(steer('hold', 'Stop the rotation where it is'));
  command.addCommand(steer('resume', 'Let the rotation go on'));
  command.addCommand(steer('cancel', 'Give up a rotation before the new root signs'));
  return command;
}

async function show({ name, store, progress }: RootPlace, { output }: Options): Promise<void> {
  const stored = await store.read();
  if (stored === undefined) {
    throw new Error(`there is no authority in ${name} yet`);
  }
  const record = orFail(stored).record;
  const { signer, bundle } = orFail(readRecord(record, Date.now()));
  const rotation = orFail(rotationOf(record));
  const servers = rotation.step === 'steady' ? [] : await progress(rotation);
  const roots = bundle.roots.map((root) => ({
    subject: root.x509.subject.replaceAll('\n', ', '),
    fingerprint: fingerprintOf(root),
    notAfter: new Date(root.notAfter).toISOString(),
    signs: root.publicKeyInfo.equals(signer.certificate.publicKeyInfo),
  }));
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify({ rotation, servers, roots }, undefined, 2)}\n`);
    return;
  }
  const rows = roots.map((root) => [
    root.signs ? 'signs' : 'trusted',
    root.notAfter,
    root.fingerprint.slice(0, 16),
    root.subject,
  ]);
  process.stdout.write(`${formatTable(['ROLE', 'VALID UNTIL', 'SHA-256', 'SUBJECT'], rows).trimEnd()}\n\n`);
  process.stdout.write(`${describe(rotation, servers)}\n`);
}

/** The rotation in words. */
function describe(rotation: Rotation, servers: readonly ServerProgress[]): string {
  const step = `Rotation: ${rotation.step} (${meanings[rotation.step]})`;
  if (rotation.step === 'steady') {
    return step;
  }
  const since = ` since ${new Date(rotation.since).toISOString()}${rotation.held ? '\nOn hold.' : ''}`;
  const lines = servers.length === 0 ? ['No server has taken up this step.'] : servers.map(describeServer);
  return [`${step}${since}`, ...lines].join('\n');
}

function describeServer({ replica, at, isAtStep, lagging, first }: ServerProgress): string {
  const names = first.slice(0, 20).join(', ');
  const words = !isAtStep
    ? 'has not taken up this step'
    : lagging === 0
      ? 'every connected proxy is ready'
      : `waits for ${lagging} of its proxies: ${names}${lagging > Math.min(first.length, 20) ? ', …' : ''}`;
  return `${replica === '' ? 'the server' : `replica ${replica}`}: ${words}${at === undefined ? '' : ` (said at ${at})`}`;
}

/** The organisation of the present root, for the next one. */
async function organisationOf(store: CaStore): Promise<string> {
  const stored = await store.read();
  const content = stored === undefined || isRefused(stored) ? undefined : readRecord(stored.record, Date.now());
  return content === undefined || isRefused(content) ? 'cluster.local' : organisationIn(content.signer.certificate);
}

function organisationIn(certificate: Certificate): string {
  return /^O=(.+)$/m.exec(certificate.x509.subject)?.[1] ?? 'cluster.local';
}

function report(rotation: Rotation | Refusal): void {
  process.stdout.write(`${describe(orFail(rotation), [])}\n`);
}

function orFail<T>(value: T | Refusal): T {
  if (isRefused(value)) {
    throw new Error(value.reason);
  }
  return value as T;
}
