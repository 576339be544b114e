// How the text of a flag or environment variable becomes a value, and what is said of one that does not.
import { millisecondsOf, parseDuration } from '../config/duration.ts';
import { type HostPort, parseHostPort } from '../config/host-port.ts';

/** One type of value. */
export interface ValueType<T> {
  /** What a text must be, as it completes `… is not`; the documentation shows it too. */
  readonly name: string;
  /** Whether an empty text counts as absent: deployments set variables to nothing when they mean the default. */
  readonly emptyIsAbsent: boolean;
  /** The value, or undefined where the text is none. */
  readonly read: (text: string) => T | undefined;
}

function valueType<T>(name: string, read: (text: string) => T | undefined, emptyIsAbsent = true): ValueType<T> {
  return { name, emptyIsAbsent, read };
}

/** Any text; an empty one says something too. */
export const anyText = valueType('a text', (text) => text, false);

/** A text with something in it: names, paths. */
export const name = valueType('a name', (text) => text);

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A DNS label (RFC 1123), as namespaces are named. */
export const namespaceName = valueType('a DNS label such as istio-system', (text) =>
  label.test(text) ? text : undefined,
);

/** The same, or nothing. */
export const optionalLabel = valueType(
  'empty or a DNS label such as 1-30',
  (text) => (text === '' || label.test(text) ? text : undefined),
  false,
);

/** A DNS subdomain (RFC 1123), as most objects of Kubernetes are named. */
export const objectName = valueType('a DNS name such as istio-ca-root-cert', (text) =>
  subdomain.test(text) ? text : undefined,
);

function partsOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Texts between commas. */
export const list = valueType('a list with commas', partsOf, false);

/** The same of namespaces. */
export const namespaceList = valueType(
  'a list of namespaces with commas',
  (text) => (partsOf(text).every((part) => label.test(part)) ? partsOf(text) : undefined),
  false,
);

/** `namespace/name` of service accounts, with commas. */
export const accountList = valueType(
  'a list of namespace/name with commas',
  (text) => {
    const areAccounts = partsOf(text).every((part) => {
      const [namespace = '', account = '', ...rest] = part.split('/');
      return label.test(namespace) && subdomain.test(account) && rest.length === 0;
    });
    return areAccounts ? text : undefined;
  },
  false,
);

const truths: ReadonlySet<string> = new Set(['1', 't', 'true']);
const lies: ReadonlySet<string> = new Set(['0', 'f', 'false']);

/** `true` or `false`, and the other forms that Go takes. */
export const bool = valueType('true or false', (text) => {
  const lower = text.trim().toLowerCase();
  return truths.has(lower) ? true : lies.has(lower) ? false : undefined;
});

/** Go's notation as milliseconds. */
export const duration = valueType('a duration such as 10s or 1h30m', (text) => {
  const ms = milliseconds(text);
  return ms !== undefined && ms >= 0 ? ms : undefined;
});

/** Milliseconds of which none and less mean never. */
export const interval = valueType('a duration such as 10s, or 0 for never', milliseconds);

function milliseconds(text: string): number | undefined {
  const parsed = parseDuration(text.trim());
  return parsed === undefined ? undefined : millisecondsOf(parsed);
}

/** A whole number within bounds. */
export function integer(least: number, most: number): ValueType<number> {
  return valueType(`a whole number from ${least} to ${most}`, (text) => {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
    return value >= least && value <= most ? value : undefined;
  });
}

/** A number within bounds. */
export function decimal(least: number, most: number): ValueType<number> {
  return valueType(`a number from ${least} to ${most}`, (text) => {
    const value = /^\d{1,15}(\.\d{1,15})?$/.test(text.trim()) ? Number(text) : Number.NaN;
    return value >= least && value <= most ? value : undefined;
  });
}

/** One of some words. */
export function oneOf<const T extends string>(...words: readonly T[]): ValueType<T> {
  return valueType(`one of ${words.map((word) => JSON.stringify(word)).join(', ')}`, (text) =>
    words.find((word) => word === text),
  );
}

/** `host:port`, `[address]:port` for IPv6, `:15010` for all addresses, an empty one for no port at all. */
export const address = valueType(
  'host:port, [address]:port or :port',
  (text) => (text === '' || parseHostPort(text) !== undefined ? text : undefined),
  false,
);

/** Where to listen at, of a text that is known to be an address. Throws on others, which would be a bug. */
export function placeOf(text: string): HostPort {
  const place = parseHostPort(text);
  if (place === undefined) throw new Error(`${text} is no address`);
  return place;
}

/** istiod's form is `scope:level,…`; the default scope's level, or the first one, counts. */
export const logLevel = valueType('a level', (text) => {
  const parts = text.split(',').map((part) => (part.includes(':') ? part : `default:${part}`).split(':'));
  const level = (parts.find(([scope]) => scope === 'default' || scope === 'all') ?? parts[0])?.[1] ?? 'info';
  return ['debug', 'info', 'warn', 'error', 'fatal'].includes(level) ? level : level === 'none' ? 'silent' : 'info';
});
