// Everything an operator can set, read once from flags and istiod's environment variables into one frozen value.
import type { Command } from 'commander';
import type { AnyHost } from './any-host.ts';
import { ignoredFlags } from './ignored-settings.ts';
import { address, type ValueType } from './setting-values.ts';
import { features, type Setting, settingsTable } from './settings-table.ts';

type Table = typeof settingsTable;

/** The value of a row; undefined is among its values where the row has no default. */
type ValueOf<S> = S extends { readonly type: ValueType<infer T> }
  ? S extends { readonly default: string }
    ? T
    : T | undefined
  : never;

/**
 * Settings of the control plane, as settings-table.ts says. Addresses are `host:port`; an empty one opens no port of its
 * own. Times in milliseconds.
 */
export type Settings = { readonly [Name in keyof Table]: ValueOf<Table[Name]> } & {
  /** Behaviour switches by istiod's environment names, those that are set; booleans as `true` and `false`. */
  readonly features: Readonly<Record<string, string>>;
};

/** Settings, and what to tell the operator about flags that mean nothing here. */
export interface ReadSettings {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;
type Flags = Readonly<Record<string, unknown>>;

const rows: readonly (readonly [string, Setting<unknown>])[] = Object.entries(settingsTable);

/** The flags of `discovery`, with istiod's names; their defaults are in the table. */
export function discoveryFlags(command: Command): Command {
  for (const [, { flag, default: fallback = '', means }] of rows) {
    if (flag === undefined) continue;
    command.option(flag, `${means}${fallback === '' ? '' : ` (${fallback})`}`);
  }
  return command.allowUnknownOption().allowExcessArguments();
}

/**
 * Reads parsed flags and the environment. `anyHost` is the host of addresses that name none (any-host.ts). Throws an Error
 * that names the flag or variable with a bad value.
 */
export function readSettings(
  options: Flags,
  rest: readonly string[],
  env: Env,
  anyHost: AnyHost = '0.0.0.0',
): ReadSettings {
  const values = Object.fromEntries(
    rows.map(([name, row]) => {
      const value = valueOf(row, options, env);
      const isBare = row.type === address && typeof value === 'string' && value.startsWith(':');
      return [name, isBare ? `${anyHost}${value}` : value];
    }),
  );
  const settings = { ...values, features: featuresOf(env) } as unknown as Settings;
  const problem = contradictionIn(settings);
  if (problem !== undefined) throw new Error(problem);
  const ignored = new Set(ignoredFlags.flatMap(({ names }) => names));
  const unknown = rest.filter((argument) => argument.startsWith('-') && !ignored.has(argument.split('=')[0] ?? ''));
  return {
    settings: Object.freeze(settings),
    warnings: unknown.map((name) => `flag ${name} is not known and ignored`),
  };
}

function valueOf<T>(row: Setting<T>, options: Flags, env: Env): T | undefined {
  const name = longNameOf(row.flag);
  const flag = name === undefined ? undefined : options[name];
  const candidates = [
    [`--${name}`, typeof flag === 'string' ? flag : undefined],
    [row.env ?? '', row.env === undefined ? undefined : env[row.env]],
    ['', row.default],
  ] as const;
  for (const [source, text] of candidates) {
    if (text !== undefined && !(row.type.emptyIsAbsent && text === '')) return parsed(row.type, source, text);
  }
  return undefined;
}

/** `clusterID` of `--clusterID <id>`, as commander names it. */
function longNameOf(flag: string | undefined): string | undefined {
  return flag === undefined ? undefined : /--(\w+)/.exec(flag)?.[1];
}

function parsed<T>(type: ValueType<T>, source: string, text: string): T {
  const value = type.read(text);
  if (value === undefined) throw new Error(`${source}: ${JSON.stringify(text.slice(0, 100))} is not ${type.name}`);
  return value;
}

function featuresOf(env: Env): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(features).flatMap(([name, { type }]) => {
      const text = env[name] ?? '';
      if (text === '') return [];
      const value = parsed(type, name, text);
      return [[name, typeof value === 'boolean' ? String(value) : text.trim()]];
    }),
  );
}

/** What single values cannot say: settings that only make sense together. */
function contradictionIn(settings: Settings): string | undefined {
  const { tlsCertFile, tlsKeyFile, caCertFile, caServer, externalCa } = settings;
  const named = tlsCertFile !== undefined || tlsKeyFile !== undefined;
  if (named && [tlsCertFile, tlsKeyFile, caCertFile].includes(undefined))
    return '--tlsCertFile, --tlsKeyFile and --caCertFile must be given together';
  if (caServer && externalCa !== '')
    return `EXTERNAL_CA: ${JSON.stringify(externalCa)} is not supported; unset it, or set ENABLE_CA_SERVER=false`;
  return undefined;
}
