// `meltemi discovery`: the control plane as a service, fed by a folder or by Kubernetes.
import { Command } from 'commander';
import { startFileSource } from '../config/sources/files.ts';
import { validate } from '../config/validate.ts';
import { compose } from './compose.ts';
import { logFindings } from './finding-log.ts';
import { openHttp } from './http.ts';
import { createLogger } from './log.ts';
import { pagesOf } from './pages.ts';
import { openPlaneWebhooks, wholeReadiness } from './plane-webhooks.ts';
import { discoveryFlags, readSettings } from './settings.ts';
import { untilSignal } from './signals.ts';
import { version } from './version.ts';
import type { Webhooks } from './webhooks.ts';

/** `meltemi discovery`; serves until SIGINT or SIGTERM. */
export function discoveryCommand(): Command {
  const command = discoveryFlags(new Command('discovery').description('Serve proxies: the control plane'));
  return command.action(async (options: Readonly<Record<string, unknown>>) => {
    const { settings, warnings } = readSettings(options, command.args, process.env);
    const log = createLogger(settings.logLevel);
    for (const warning of warnings) log.warn(warning);
    if (settings.configDir === undefined) {
      const { serveKubernetes } = await import('./kubernetes.ts');
      await serveKubernetes(settings, log);
      return;
    }
    await using plane = await compose({ settings, log, version: version() });
    let webhooks: Webhooks | undefined;
    const pages = { ...pagesOf(plane), ready: () => wholeReadiness(plane, webhooks) };
    await using _http = await openHttp('--httpAddr', settings.httpAddr, pages);
    await using _monitoring = await openHttp('--monitoringAddr', settings.monitoringAddr, pages);
    using _findings = logFindings(plane.store, log);
    await using source = await startFileSource(
      { path: settings.configDir, check: validate, watch: true, now: Date.now },
      plane.store.sinkOf('files'),
    );
    await plane.listen();
    webhooks = await openPlaneWebhooks(plane, plane.store.sinkOf('injector'), log, process.env);
    await using _webhooks = webhooks;
    log.info({ folder: source.name, ...settings }, 'serving');
    const signal = await untilSignal();
    log.info({ signal }, 'stopping');
  });
}
