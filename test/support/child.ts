// A program run by a test: its output kept, and ended with the test whatever happens.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { sleep } from './wait.ts';

export interface ChildOptions {
  /** What messages call it. */
  readonly name: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly folder?: string;
  /** Called with each piece of standard output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** How a program ended: its exit code, or the signal that ended it. */
export type Exit = { readonly code: number } | { readonly signal: string };

const keptOutput = 256 * 1024;
const setpriv = '/usr/bin/setpriv';

/** The command with Linux told to end it when its parent dies, so that a killed test run leaves nothing behind. */
function boundToParent(command: string, args: readonly string[]): readonly [string, readonly string[]] {
  return existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, args];
}

/** A started program. Dispose it, or `stop()` it. */
export class Child implements AsyncDisposable {
  readonly name: string;
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  #output = '';
  #exit: Exit | undefined;

  constructor(options: ChildOptions) {
    this.name = options.name;
    const [command, args] = boundToParent(options.command, options.args ?? []);
    this.#process = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...(options.environment ?? process.env) },
      ...(options.folder === undefined ? {} : { cwd: options.folder }),
    });
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#keep(text);
      options.onOutput?.(text);
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.exited = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#exit ??= exit;
        resolve(this.#exit);
      };
      this.#process.once('error', (error) => {
        this.#keep(error.message);
        end({ code: 127 });
      });
      this.#process.once('close', (code, signal) => end(signal === null ? { code: code ?? 1 } : { signal }));
    });
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.name} did not start: ${this.#output}`);
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The last 256 kB of what it wrote, both streams as they came. */
  output(): string {
    return this.#output;
  }

  /** Throws with the end of its output where it no longer runs: for use while waiting for it to become ready. */
  assertRunning(): void {
    if (this.#exit !== undefined) {
      throw new Error(`${this.name} ended with ${JSON.stringify(this.#exit)}\n${this.#output.slice(-4000)}`);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. */
  async stop(graceMs = 5_000): Promise<Exit> {
    this.signal('SIGTERM');
    await Promise.race([this.exited, sleep(graceMs).then(() => this.signal('SIGKILL'))]);
    return this.exited;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-keptOutput);
  }
}

/** What a finished program wrote, and its exit code (127 where it could not be started). */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; never throws. Ended after `timeoutMs`, 60 s by default. */
export function run(
  command: string,
  args: readonly string[],
  options: {
    readonly folder?: string;
    readonly timeoutMs?: number;
    readonly environment?: Readonly<Record<string, string | undefined>>;
    readonly input?: string;
  } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      {
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 << 20,
        env: { ...(options.environment ?? process.env) },
        ...(options.folder === undefined ? {} : { cwd: options.folder }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
        else resolve({ code: 127, stdout, stderr: stderr === '' ? error.message : stderr });
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs a program to its end and gives its standard output; throws with its standard error where it fails. */
export async function runOrThrow(command: string, args: readonly string[], options: Parameters<typeof run>[2] = {}) {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} failed with ${code}: ${(stderr || stdout).trim()}`);
  return stdout;
}
