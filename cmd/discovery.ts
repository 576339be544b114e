// `meltemi discovery`: the control plane as a service, fed by a folder or by Kubernetes.
import { Command } from 'commander';
import { startFileSource } from '../config/sources/files.ts';
import { anyHost } from './any-host.ts';
import { compose } from './compose.ts';
import { logFindings } from './finding-log.ts';
import { createLogger } from './log.ts';
import { giveMemoryBack } from './memory.ts';
import { checkBy, openMeshFiles } from './mesh-files.ts';
import { openPages } from './pages.ts';
import { planeWebhooks, wholeReadiness } from './plane-webhooks.ts';
import { discoveryFlags, readSettings } from './settings.ts';
import { untilSignal } from './signals.ts';
import { version } from './version.ts';

/** `meltemi discovery`; serves until SIGINT or SIGTERM. */
export function discoveryCommand(): Command {
  const command = discoveryFlags(new Command('discovery').description('Serve proxies: the control plane'));
  return command.action(async (options: Readonly<Record<string, unknown>>) => {
    const { settings, warnings } = readSettings(options, command.args, process.env, await anyHost());
    const log = createLogger(settings.logLevel);
    for (const warning of warnings) log.warn(warning);
    using _memory = giveMemoryBack((took) => log.debug({ took }, 'gave memory back'));
    if (settings.configDir === undefined) {
      const { serveKubernetes } = await import('./kubernetes.ts');
      await serveKubernetes(settings, log);
      return;
    }
    await using plane = await compose({ settings, log, version: version() });
    let waitsFor = 'its ports';
    await using webhooks = planeWebhooks(plane, log);
    await using _pages = await openPages(plane, webhooks, () => wholeReadiness(plane, webhooks, waitsFor));
    using _findings = logFindings(plane.store, log);
    await using mesh = await openMeshFiles(plane, log);
    await using source = await startFileSource(
      { path: settings.configDir, check: checkBy(settings), watch: true, now: Date.now },
      mesh.besides(plane.store.sinkOf('files')),
    );
    await plane.listen();
    await webhooks.open();
    waitsFor = '';
    log.info({ folder: source.name, ...settings }, 'serving');
    const signal = await untilSignal();
    log.info({ signal }, 'stopping');
  });
}
