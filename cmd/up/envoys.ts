// Runs the Envoys of the laptop mesh: each from its bootstrap, started again if it dies, ended with the command.
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json } from '../../config/bootstrap.ts';

/** One Envoy to run. */
export interface EnvoyPlan {
  /** Unique; names its files. */
  readonly name: string;
  readonly bootstrap: { readonly [key: string]: Json };
}

/** Where the Envoys' files go, and who hears of their ends. */
export interface EnvoysOptions {
  readonly binary: string;
  /** Bootstraps and logs. */
  readonly folder: string;
  /** Called when an Envoy that should run has ended; it is started again after `delayMs`. */
  readonly onExit: (name: string, reason: string, delayMs: number) => void;
}

const firstDelayMs = 500;
const maxDelayMs = 15_000;
/** An Envoy that ran this long starts over at the first delay. */
const settledMs = 30_000;
const stopMs = 3_000;
const setpriv = '/usr/bin/setpriv';

/** The running Envoys. */
export class Envoys implements AsyncDisposable {
  readonly #options: EnvoysOptions;
  readonly #running = new Map<string, RunningEnvoy>();

  constructor(options: EnvoysOptions) {
    this.#options = options;
  }

  /** Names of the Envoys that should be running. */
  get names(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Starts what is new and ends what is no longer wanted. An Envoy whose bootstrap changed is started anew. */
  async set(plans: readonly EnvoyPlan[]): Promise<void> {
    const wanted = new Map(plans.map((plan) => [plan.name, plan]));
    for (const [name, envoy] of this.#running) {
      const plan = wanted.get(name);
      if (plan !== undefined && JSON.stringify(plan.bootstrap) === envoy.bootstrap) continue;
      this.#running.delete(name);
      await envoy.stop();
    }
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    for (const [name, plan] of wanted) {
      if (this.#running.has(name)) continue;
      const envoy = new RunningEnvoy(plan, this.#options);
      this.#running.set(name, envoy);
      await envoy.start();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((envoy) => envoy.stop()));
    this.#running.clear();
  }
}

class RunningEnvoy {
  readonly bootstrap: string;
  readonly #plan: EnvoyPlan;
  readonly #options: EnvoysOptions;
  #process: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delay = firstDelayMs;
  #stopped = false;

  constructor(plan: EnvoyPlan, options: EnvoysOptions) {
    this.#plan = plan;
    this.#options = options;
    this.bootstrap = JSON.stringify(plan.bootstrap);
  }

  async start(): Promise<void> {
    const file = join(this.#options.folder, `${this.#plan.name}.json`);
    await writeFile(file, this.bootstrap, { mode: 0o600 });
    this.#spawn(file);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), stopMs);
    await ended;
    clearTimeout(force);
  }

  #spawn(file: string): void {
    const startedAt = Date.now();
    const log = createWriteStream(join(this.#options.folder, `${this.#plan.name}.log`), { flags: 'a', mode: 0o600 });
    const args = [
      '-c',
      file,
      '--use-dynamic-base-id',
      '--concurrency',
      '1',
      '--log-level',
      'warning',
      '--drain-time-s',
      '1',
      '--parent-shutdown-time-s',
      '2',
    ];
    // Where Linux offers it, the kernel ends the Envoy should this process be killed.
    const bound = existsSync(setpriv)
      ? [setpriv, '--pdeathsig', 'KILL', '--', this.#options.binary, ...args]
      : [this.#options.binary, ...args];
    const child = spawn(bound[0] as string, bound.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once('error', (error) => this.#ended(file, error.message, startedAt));
    child.once('close', (code, signal) => {
      log.end();
      this.#ended(file, signal === null ? `exit code ${code}` : `signal ${signal}`, startedAt);
    });
    this.#process = child;
  }

  #ended(file: string, reason: string, startedAt: number): void {
    if (this.#stopped) return;
    if (Date.now() - startedAt > settledMs) this.#delay = firstDelayMs;
    const delay = this.#delay;
    this.#delay = Math.min(this.#delay * 2, maxDelayMs);
    this.#options.onExit(this.#plan.name, reason, delay);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#spawn(file), delay);
  }
}
