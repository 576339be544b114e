// Settings that a cluster's webhook configuration passes in the webhook's URL: `/inject/cluster/west/net/n1`.

const known: Readonly<Record<string, string>> = { cluster: 'ISTIO_META_CLUSTER_ID', net: 'ISTIO_META_NETWORK' };

/** The largest path that is read, in characters. */
const maximumPath = 4_096;

/**
 * The proxy's environment from a path: pairs of name and value after `/inject`, or the older form
 * `/inject/:ENV:cluster=west:ENV:net=n1`. `--slash--` in a value stands for `/`. Names other than `cluster` and `net`
 * become variables in upper case. A last name without a value is ignored, as Istio does.
 */
export function proxyEnvOf(
  path: string,
): { readonly env: Readonly<Record<string, string>> } | { readonly problem: string } {
  if (path.length > maximumPath) return { problem: 'the path is too long' };
  const pairs = pairsOf(path.replace(/\/$/, ''));
  const env: Record<string, string> = {};
  for (const [name, value] of pairs) {
    const variable = Object.hasOwn(known, name) ? (known[name] ?? '') : name.toUpperCase();
    if (!/^[A-Z_][A-Z0-9_]{0,127}$/.test(variable)) return { problem: `${JSON.stringify(name)} names no variable` };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is refused
    if (/[\u0000-\u001f\u007f]/.test(value)) return { problem: `the value of ${name} holds a control character` };
    env[variable] = value.replaceAll('--slash--', '/');
  }
  return { env };
}

function pairsOf(path: string): readonly (readonly [string, string])[] {
  const [, , ...rest] = path.split('/');
  const tail = rest.join('/');
  if (tail.startsWith(':ENV:')) {
    return tail
      .slice(':ENV:'.length)
      .split(':ENV:')
      .flatMap((pair) => {
        const at = pair.indexOf('=');
        return at < 0 ? [] : [[pair.slice(0, at), pair.slice(at + 1)] as const];
      });
  }
  const pairs: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < rest.length; i += 2) pairs.push([rest[i] ?? '', rest[i + 1] ?? '']);
  return pairs;
}
