// What istio-iptables makes of its arguments, for network namespaces: the nat table of interception mode REDIRECT, IPv4.

/** The user and group that istio-proxy runs as; what it sends is not captured. */
export const proxyId = 1337;

/** Arguments that istio-init has where nobody says anything else. */
export const usualArguments: readonly string[] = [
  ...['istio-iptables', '-p', '15001', '-z', '15006', '-u', String(proxyId), '-m', 'REDIRECT'],
  ...['-i', '*', '-x', '', '-b', '*', '-d', '15090,15021,15020'],
];

/** Flags that take a value, with what they stand for where they are absent. */
const flags = {
  '-p': '15001',
  '-z': '15006',
  '-u': String(proxyId),
  '-m': 'REDIRECT',
  '-i': '*',
  '-x': '',
  '-b': '*',
  '-d': '',
  '-q': '',
  '-o': '',
  '-c': '',
} as const;

type Settings = Record<keyof typeof flags, string>;

/** The table as text for iptables-restore. Throws for arguments whose meaning it does not know, or cannot imitate. */
export function captureRules(args: readonly string[]): string {
  const settings = settingsOf(args);
  const excludedInterfaces = itemsOf(settings['-c']);
  return [
    '*nat',
    ...['INBOUND', 'REDIRECT', 'IN_REDIRECT', 'OUTPUT'].map((chain) => `:ISTIO_${chain} - [0:0]`),
    ...excludedInterfaces.flatMap((name) => [`-A PREROUTING -i ${name} -j RETURN`, `-A OUTPUT -o ${name} -j RETURN`]),
    '-A PREROUTING -p tcp -j ISTIO_INBOUND',
    '-A OUTPUT -p tcp -j ISTIO_OUTPUT',
    `-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports ${settings['-p']}`,
    `-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports ${settings['-z']}`,
    ...inboundRules(settings),
    ...outboundRules(settings),
    'COMMIT',
    '',
  ].join('\n');
}

function settingsOf(args: readonly string[]): Settings {
  const [command, ...rest] = args;
  if (command !== 'istio-iptables') throw new Error(`${command} is not istio-iptables`);
  const settings: Settings = { ...flags };
  for (let i = 0; i < rest.length; i++) {
    const flag = rest[i] as string;
    if (flag.startsWith('--log_output_level=') || flag === '--log_as_json') continue;
    const value = rest[++i];
    if (!Object.hasOwn(flags, flag) || value === undefined) throw new Error(`istio-iptables ${flag} is not imitated`);
    settings[flag as keyof Settings] = value;
  }
  if (settings['-m'] !== 'REDIRECT') throw new Error(`interception mode ${settings['-m']} is not imitated`);
  if (settings['-u'] !== String(proxyId)) throw new Error(`the proxy's user is ${settings['-u']}, not ${proxyId}`);
  for (const flag of ['-p', '-z', '-d', '-q', '-o'] as const) checkItems(settings, flag, /^\d{1,5}$/);
  if (settings['-b'] !== '*') checkItems(settings, '-b', /^\d{1,5}$/);
  if (settings['-i'] !== '*') checkItems(settings, '-i', /^[\d.]+\/\d{1,2}$/);
  checkItems(settings, '-x', /^[\d.]+\/\d{1,2}$/);
  checkItems(settings, '-c', /^[\w.-]+$/);
  return settings;
}

function checkItems(settings: Settings, flag: keyof Settings, pattern: RegExp): void {
  const bad = itemsOf(settings[flag]).find((item) => !pattern.test(item));
  if (bad !== undefined) throw new Error(`istio-iptables ${flag} ${bad} is not imitated`);
}

function itemsOf(list: string): readonly string[] {
  return list.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]));
}

/** What comes in: HBONE's port never, and of the others all but some, or some. */
function inboundRules(settings: Settings): readonly string[] {
  const rule = (port: string, target: string) => `-A ISTIO_INBOUND -p tcp --dport ${port} -j ${target}`;
  const captured = settings['-b'];
  if (captured !== '*') {
    return [rule('15008', 'RETURN'), ...itemsOf(captured).map((port) => rule(port, 'ISTIO_IN_REDIRECT'))];
  }
  const excluded = ['15008', ...itemsOf(settings['-d'])].map((port) => rule(port, 'RETURN'));
  return [...excluded, '-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT'];
}

/** What goes out, except what the proxy itself sends and what stays on loopback. */
function outboundRules(settings: Settings): readonly string[] {
  const rule = (match: string, target: string) => `-A ISTIO_OUTPUT ${match} -j ${target}`;
  const port = (number: string) => `-p tcp --dport ${number}`;
  const ranges = settings['-i'];
  return [
    ...itemsOf(settings['-o']).map((number) => rule(port(number), 'RETURN')),
    rule('-s 127.0.0.6/32 -o lo', 'RETURN'),
    rule(`-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner ${proxyId}`, 'ISTIO_IN_REDIRECT'),
    rule(`-o lo -m owner ! --gid-owner ${proxyId}`, 'RETURN'),
    rule(`-m owner --gid-owner ${proxyId}`, 'RETURN'),
    rule('-d 127.0.0.1/32', 'RETURN'),
    ...itemsOf(settings['-q']).map((number) => rule(port(number), 'ISTIO_REDIRECT')),
    ...itemsOf(settings['-x']).map((range) => rule(`-d ${range}`, 'RETURN')),
    ...(ranges === '*'
      ? ['-A ISTIO_OUTPUT -j ISTIO_REDIRECT']
      : itemsOf(ranges).map((range) => rule(`-d ${range}`, 'ISTIO_REDIRECT'))),
  ];
}
