// `meltemi up`: a mesh on this machine from a folder of YAML; with --check it proves itself and ends.
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { ensureEnvoy } from './envoy-install.ts';
import { createLogger } from './log.ts';
import { untilSignal } from './signals.ts';
import { runChecks } from './up/checks.ts';
import { startMesh } from './up/mesh.ts';
import { showView } from './up/view.ts';

interface Options {
  readonly check?: boolean;
  readonly state: string;
  readonly certificateLifetime?: string;
}

const sample = new URL('../samples/bookinfo', import.meta.url).pathname;

/** `meltemi up`. With --check the exit code is 0 where all checks passed. */
export function upCommand(): Command {
  return new Command('up')
    .description('Run a mesh on this machine: control plane, an Envoy for each workload, and the sample apps')
    .argument('[folder]', 'folder of YAML; the bookshop sample where absent', sample)
    .option('--check', 'bring everything up, send requests that prove it, print the results, and end')
    .option('--state <dir>', 'where certificates, sockets and logs go', '.meltemi')
    .option('--certificate-lifetime <duration>', "lifetime of the workloads' certificates (default: 24h)")
    .action(async (folder: string, options: Options) => {
      const say = (line: string): void => console.log(`  ${line}`);
      console.log('Starting the mesh');
      const envoy = await ensureEnvoy({ onProgress: say });
      const events: string[] = [];
      const onEvent = (event: string): void => {
        events.push(event);
        if (events.length > 200) events.shift();
        if (!live) say(event);
      };
      let live = false;
      await using mesh = await startMesh({
        folder: options.check === true ? await copyOf(folder, options.state) : folder,
        stateDir: options.state,
        envoy,
        log: createLogger('info', join(options.state, 'meltemi.log')),
        onEvent,
        // The checks watch a renewal, which takes half a life.
        certificateLifetime: options.certificateLifetime ?? (options.check === true ? '30s' : '24h'),
      });
      if (options.check === true) {
        const { passed, failed } = await runChecks(mesh, say);
        console.log(`${passed} passed, ${failed} failed`);
        process.exitCode = failed === 0 ? 0 : 1;
        return;
      }
      live = true;
      using _view = showView(mesh, events, process.stdout);
      await untilSignal();
    });
}

/** The checks change files: they get a folder of their own. */
async function copyOf(folder: string, state: string): Promise<string> {
  const copy = join(state, 'check');
  await rm(copy, { recursive: true, force: true });
  await cp(folder, copy, { recursive: true });
  return copy;
}
