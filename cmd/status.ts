// `meltemi status`: proxies with what they acknowledged or rejected, findings in the configuration, issued certificates.
import { Command } from 'commander';
import type { IssuedCertificate } from '../certs/ledger.ts';
import type { Diagnostic } from '../config/diagnostic.ts';
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { SourceStatus } from '../config/sources/source.ts';
import type { ProxyStatus } from '../discovery/debug/sync-status.ts';
import { formatTable } from './print.ts';

/** The answer of /debug/status. */
interface StatusAnswer {
  readonly version: string;
  readonly sources: Readonly<Record<string, SourceStatus>>;
  readonly proxies: readonly ProxyStatus[];
  readonly findings: readonly Diagnostic[];
  readonly certificates: readonly IssuedCertificate[];
}

/** `meltemi status`. Exit code 1 where a proxy rejects something, 2 where the control plane does not answer. */
export function statusCommand(): Command {
  return new Command('status')
    .description('Show proxies and what they acknowledged')
    .option('--address <host:port>', "the control plane's monitoring port", '127.0.0.1:15014')
    .option('--certificates', 'also list issued certificates')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(async (options: { address: string; certificates?: boolean; output: string }, command: Command) => {
      const status = await statusAt(options.address).catch((error: Error) =>
        command.error(`meltemi: ${error.message}`, { exitCode: 2 }),
      );
      console.log(
        options.output === 'json'
          ? JSON.stringify(status, undefined, 2)
          : formatStatus(status, options.certificates === true),
      );
      process.exitCode = status.proxies.some((proxy) => proxy.types.some((type) => type.state === 'ERROR')) ? 1 : 0;
    });
}

async function statusAt(address: string): Promise<StatusAnswer> {
  const answer = await fetch(`http://${address}/debug/status`, { signal: AbortSignal.timeout(10_000) }).catch(
    (error: unknown) => {
      const cause = error instanceof Error ? String(error.cause ?? error.message) : String(error);
      throw new Error(`${address} does not answer: ${cause}`);
    },
  );
  if (!answer.ok) throw new Error(`${address} answers ${answer.status}: ${(await answer.text()).slice(0, 200)}`);
  return answer.json() as Promise<StatusAnswer>;
}

/** The status as text. */
export function formatStatus(status: StatusAnswer, certificates: boolean): string {
  const types = [...new Set(status.proxies.flatMap((proxy) => proxy.types.map((type) => type.type)))];
  const rows = status.proxies.map((proxy) => [
    proxy.workloadId,
    ...types.map((type) => proxy.types.find((one) => one.type === type)?.state ?? '-'),
  ]);
  const rejections = status.proxies.flatMap((proxy) =>
    proxy.types.flatMap((type) =>
      type.rejection === undefined
        ? []
        : [`${proxy.workloadId} rejects ${type.type}: ${JSON.stringify(type.rejection)}`],
    ),
  );
  const sources = Object.entries(status.sources).map(([name, s]) => [
    name,
    s.synced ? 'read' : 'reading',
    s.connected ? 'follows changes' : `out of touch since ${new Date(s.since).toISOString()}`,
  ]);
  const troubles = Object.entries(status.sources).flatMap(([name, { connected, message }]) =>
    connected || message === undefined ? [] : [`${name}: ${message}`],
  );
  const issued = status.certificates.map((c) => [c.identity, c.holder, new Date(c.notAfter).toISOString()]);
  return [
    `Meltemi ${status.version}`,
    '',
    formatTable(['SOURCE', 'STATE', 'WATCH'], sources),
    ...troubles,
    '',
    formatTable(['PROXY', ...types.map((type) => type.toUpperCase())], rows),
    ...(rejections.length === 0 ? [] : ['', ...rejections]),
    ...(status.findings.length === 0 ? [] : ['', ...status.findings.map(formatDiagnostic)]),
    ...(certificates
      ? ['', formatTable(['IDENTITY', 'HOLDER', 'VALID UNTIL'], issued)]
      : ['', `${issued.length} certificates in force`]),
  ].join('\n');
}
