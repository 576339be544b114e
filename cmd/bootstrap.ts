// `meltemi bootstrap`: the bootstrap of a plain Envoy for one workload.
import { Command } from 'commander';
import { buildBootstrap } from '../config/bootstrap.ts';
import { rootsSecret } from '../config/bootstrap-discovery.ts';
import { parseHostPort } from '../config/host-port.ts';
import { formatValue } from './print.ts';

interface Options {
  readonly type: string;
  readonly ip: string;
  readonly serviceAccount: string;
  readonly label: readonly string[];
  readonly discoveryAddress: string;
  readonly caFile?: string;
  readonly tokenFile?: string;
  readonly serverName?: string;
  readonly admin: string;
  readonly health?: string;
  readonly prometheus?: string;
  readonly interception: string;
  readonly httpProxyPort?: string;
  readonly clusterId: string;
  readonly network?: string;
  readonly print: string;
  readonly output: string;
}

/** `meltemi bootstrap NAME.NAMESPACE`. */
export function bootstrapCommand(): Command {
  return new Command('bootstrap')
    .description("Print a workload's Envoy bootstrap, for `envoy -c`")
    .argument('<name.namespace>', 'the workload')
    .requiredOption('--ip <address>', "the workload's address")
    .option('--type <type>', 'sidecar or router', 'sidecar')
    .option('--service-account <name>', 'its service account', 'default')
    .option('-l, --label <name=value...>', 'labels', [])
    .option('--discovery-address <host:port>', 'the control plane', 'istiod.istio-system.svc:15012')
    .option(
      '--ca-file <file>',
      'roots by which the control plane is verified, with <file>.json beside; plaintext without',
    )
    .option('--token-file <file>', 'bearer token')
    .option('--server-name <name>', "the control plane's name, where it differs from the address")
    .option('--admin <host:port>', "Envoy's admin interface", '127.0.0.1:15000')
    .option('--health <host:port>', 'where /healthz/ready is answered')
    .option('--prometheus <host:port>', 'where /stats/prometheus is answered')
    .option('--interception <mode>', 'REDIRECT, TPROXY or NONE', 'REDIRECT')
    .option('--http-proxy-port <port>', 'port of a forward proxy for the application')
    .option('--cluster-id <id>', 'id of the cluster', 'Kubernetes')
    .option('--network <network>', 'network of the workload')
    .option('--print <what>', 'bootstrap, or roots: what <ca-file>.json is to hold', 'bootstrap')
    .option('-o, --output <format>', 'json or yaml', 'json')
    .action((workload: string, options: Options) => {
      if (options.output !== 'json' && options.output !== 'yaml')
        throw new Error(`--output ${options.output}: neither json nor yaml`);
      process.stdout.write(formatValue(printedOf(workload, options), options.output));
    });
}

function printedOf(workload: string, options: Options) {
  const { print, caFile } = options;
  if (print === 'bootstrap') return bootstrapOf(workload, options);
  if (print !== 'roots') throw new Error(`--print ${print}: neither bootstrap nor roots`);
  if (caFile === undefined) throw new Error('--print roots: want --ca-file');
  return rootsSecret(caFile);
}

function bootstrapOf(workload: string, options: Options) {
  const dot = workload.lastIndexOf('.');
  if (dot <= 0) throw new Error(`${workload}: want NAME.NAMESPACE`);
  const { type, interception } = options;
  if (type !== 'sidecar' && type !== 'router') throw new Error(`--type ${type}: neither sidecar nor router`);
  if (interception !== 'REDIRECT' && interception !== 'TPROXY' && interception !== 'NONE') {
    throw new Error(`--interception ${interception}: one of REDIRECT, TPROXY, NONE`);
  }
  return buildBootstrap({
    nodeType: type,
    address: options.ip,
    podName: workload.slice(0, dot),
    namespace: workload.slice(dot + 1),
    serviceAccount: options.serviceAccount,
    labels: labelsOf(options.label),
    clusterId: options.clusterId,
    interceptionMode: interception,
    proxyConfig: {},
    ...(options.network === undefined ? {} : { network: options.network }),
    ...(options.httpProxyPort === undefined ? {} : { metadata: { HTTP_PROXY_PORT: options.httpProxyPort } }),
    discovery: {
      address: discoveryAddressOf(options.discoveryAddress),
      ...(options.caFile === undefined
        ? {}
        : {
            tls: {
              caFile: options.caFile,
              ...(options.tokenFile === undefined ? {} : { tokenFile: options.tokenFile }),
              ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
            },
          }),
    },
    admin: bindOf('--admin', options.admin),
    ...(options.health === undefined ? {} : { health: bindOf('--health', options.health) }),
    ...(options.prometheus === undefined ? {} : { prometheus: bindOf('--prometheus', options.prometheus) }),
  });
}

function labelsOf(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at <= 0) throw new Error(`--label ${pair}: want name=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function discoveryAddressOf(text: string): string {
  const { host, port } = parseHostPort(text, 15012) ?? { host: '', port: 0 };
  if (host === '' || port === 0) throw new Error(`--discovery-address ${text}: want host:port`);
  return text;
}

function bindOf(flag: string, text: string): { address: string; port: number } {
  const { host, port } = parseHostPort(text) ?? { host: '', port: 0 };
  if (host === '' || port === 0) throw new Error(`${flag} ${text}: want host:port`);
  return { address: host, port };
}
