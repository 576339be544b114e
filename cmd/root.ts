// `meltemi root`: shows the root of trust and drives its rotation; the server takes the steps when all proxies are ready.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { fingerprintOf } from '../certs/bundle.ts';
import { caDirectory } from '../certs/ca-directory.ts';
import { readRecord } from '../certs/ca-record.ts';
import type { Certificate } from '../certs/certificate.ts';
import { systemEnvironment } from '../certs/environment.ts';
import { isRefused, type Refusal } from '../certs/refusal.ts';
import { type Rotation, rotationOf } from '../certs/rotation.ts';
import { beginRotation, type RotationStatus, rotationStatusFile, steerRotation } from '../certs/rotation-driver.ts';
import { caDirectoryOption, rootOptionsOf } from './ca-options.ts';
import { formatTable } from './print.ts';

interface Options {
  readonly caDir: string;
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
  const subcommand = (name: string, description: string, action: (options: Options) => Promise<void>) =>
    command.addCommand(new Command(name).description(description).addOption(caDirectoryOption()).action(action));
  command.addCommand(
    new Command('show')
      .description('Show roots, signer and rotation')
      .option('-o, --output <format>', 'text or json', 'text')
      .addOption(caDirectoryOption())
      .action(show),
    { isDefault: true },
  );
  subcommand('rotate', 'Begin a rotation to a new root; the server takes its steps', async ({ caDir }) =>
    report(await beginRotation(caDirectory(caDir), rootOptionsOf(await organisationOf(caDir)), systemEnvironment)),
  );
  subcommand('hold', 'Stop the rotation where it is', async ({ caDir }) =>
    report(await steerRotation(caDirectory(caDir), 'hold')),
  );
  subcommand('resume', 'Let the rotation go on', async ({ caDir }) =>
    report(await steerRotation(caDirectory(caDir), 'resume')),
  );
  subcommand('cancel', 'Give up a rotation before the new root signs', async ({ caDir }) =>
    report(await steerRotation(caDirectory(caDir), 'cancel')),
  );
  return command;
}

async function show({ caDir, output }: Options): Promise<void> {
  const stored = await caDirectory(caDir).read();
  if (stored === undefined) {
    throw new Error(`there is no authority in ${caDir} yet`);
  }
  const record = orFail(stored).record;
  const { signer, bundle } = orFail(readRecord(record, Date.now()));
  const rotation = orFail(rotationOf(record));
  const laggards = rotation.step === 'steady' ? [] : await laggardsOf(caDir, rotation);
  const roots = bundle.roots.map((root) => ({
    subject: root.x509.subject.replaceAll('\n', ', '),
    fingerprint: fingerprintOf(root),
    notAfter: new Date(root.notAfter).toISOString(),
    signs: root.publicKeyInfo.equals(signer.certificate.publicKeyInfo),
  }));
  if (output === 'json') {
    process.stdout.write(`${JSON.stringify({ rotation, laggards, roots }, undefined, 2)}\n`);
    return;
  }
  const rows = roots.map((root) => [
    root.signs ? 'signs' : 'trusted',
    root.notAfter,
    root.fingerprint.slice(0, 16),
    root.subject,
  ]);
  process.stdout.write(`${formatTable(['ROLE', 'VALID UNTIL', 'SHA-256', 'SUBJECT'], rows).trimEnd()}\n\n`);
  process.stdout.write(`${describe(rotation, laggards)}\n`);
}

/** The rotation in words. */
function describe(rotation: Rotation, laggards: readonly string[] | undefined): string {
  const step = `Rotation: ${rotation.step} (${meanings[rotation.step]})`;
  if (rotation.step === 'steady') {
    return step;
  }
  const since = ` since ${new Date(rotation.since).toISOString()}`;
  const waiting =
    laggards === undefined
      ? 'No server has taken up this step.'
      : laggards.length === 0
        ? 'Every connected proxy is ready.'
        : `Waiting for ${laggards.length} proxies: ${laggards.slice(0, 20).join(', ')}${laggards.length > 20 ? ', …' : ''}`;
  return `${step}${since}\n${rotation.held ? 'On hold. ' : ''}${waiting}`;
}

/** What the server last wrote about this step; undefined where it has not yet. */
async function laggardsOf(caDir: string, rotation: Rotation): Promise<readonly string[] | undefined> {
  const text = await readFile(join(caDir, rotationStatusFile), 'utf8').catch(() => '{}');
  const status = JSON.parse(text) as Partial<RotationStatus>;
  return status.step === rotation.step && status.since === rotation.since ? status.laggards : undefined;
}

/** The organisation of the present root, for the next one. */
async function organisationOf(caDir: string): Promise<string> {
  const stored = await caDirectory(caDir).read();
  const content = stored === undefined || isRefused(stored) ? undefined : readRecord(stored.record, Date.now());
  return content === undefined || isRefused(content) ? 'cluster.local' : organisationIn(content.signer.certificate);
}

function organisationIn(certificate: Certificate): string {
  return /^O=(.+)$/m.exec(certificate.x509.subject)?.[1] ?? 'cluster.local';
}

function report(rotation: Rotation | Refusal): void {
  process.stdout.write(`${describe(orFail(rotation), undefined)}\n`);
}

function orFail<T>(value: T | Refusal): T {
  if (isRefused(value)) {
    throw new Error(value.reason);
  }
  return value as T;
}
