// Rules of WasmPlugin and TrafficExtension.
import type { TrafficExtension, WasmExtension } from '../kinds/traffic-extension.ts';
import type { TrafficSelector } from '../kinds/wasm.ts';
import type { WasmPlugin } from '../kinds/wasm-plugin.ts';
import { conflict, doubtful, duplicate, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkAttachment } from './selectors.ts';
import { schemeOf, urlProblem } from './urls.ts';

/** What Istio's webhook refuses or warns about in a WasmPlugin. */
export function checkWasmPlugin(plugin: WasmPlugin): Findings {
  return [
    ...checkAttachment(plugin.spec),
    ...checkWasm(plugin.spec, 'spec'),
    ...checkMatch(plugin.spec.match, 'spec.match'),
  ];
}

/** What Istio's webhook refuses or warns about in a TrafficExtension. */
export function checkTrafficExtension(extension: TrafficExtension): Findings {
  const { spec } = extension;
  const { wasm, lua } = spec;
  return [
    ...checkAttachment(spec),
    ...((wasm === undefined) === (lua === undefined)
      ? missing('spec', 'exactly one of wasm or lua must be set')
      : fine),
    ...(wasm === undefined ? fine : checkWasm(wasm, 'spec.wasm')),
    ...(lua === undefined ? fine : checkLua(lua.inlineCode ?? '', 'spec.lua.inlineCode')),
    ...checkMatch(spec.match, 'spec.match'),
  ];
}

/** The longest Lua script, in bytes. */
const longestScript = 65536;

function checkLua(code: string, path: string): Findings {
  if (code === '') return missing(path, 'lua.inlineCode cannot be empty');
  return Buffer.byteLength(code) > longestScript ? invalid(path, 'lua.inlineCode exceeds maximum size of 64KB') : fine;
}

function checkWasm(wasm: WasmExtension, path: string): Findings {
  return [
    ...checkUrl(wasm.url ?? '', `${path}.url`),
    ...checkSha256(wasm.sha256 ?? '', `${path}.sha256`),
    ...checkImageSecret(wasm.imagePullSecret, `${path}.imagePullSecret`),
    ...((wasm.pluginName ?? '').length > longestName
      ? invalid(`${path}.pluginName`, 'pluginName field must be less than 255 characters long')
      : fine),
    ...checkEnv(wasm.vmConfig, `${path}.vmConfig.env`),
  ];
}

const schemes: ReadonlySet<string> = new Set(['', 'http', 'https', 'file', 'oci']);

/** A URL, or without a scheme the name of an image or a host, `registry/image:tag`. */
function checkUrl(url: string, path: string): Findings {
  if (url === '') return missing(path, 'url field needs to be set');
  const problem = requestProblem(url);
  if (problem === undefined) {
    return schemes.has(schemeOf(url)) ? fine : invalid(path, `url contains unsupported scheme: ${schemeOf(url)}`);
  }
  return requestProblem(`http://${url}`) === undefined ? fine : invalid(path, `failed to parse url: ${problem}`);
}

/** What is wrong with a URL that is to be fetched: it must be absolute or a path from the root. */
function requestProblem(url: string): string | undefined {
  return schemeOf(url) === '' && !url.startsWith('/') ? 'the URL lacks a scheme' : urlProblem(url);
}

function checkSha256(sum: string, path: string): Findings {
  if (sum === '') return fine;
  if (sum.length !== 64) return invalid(path, 'sha256 field must be 64 characters long');
  return /^[a-f0-9]{64}$/.test(sum) ? fine : invalid(path, 'sha256 field must match [a-f0-9]{64} pattern');
}

function checkImageSecret(name: string | undefined, path: string): Findings {
  return name !== undefined && name.length > 253
    ? invalid(path, 'imagePullSecret field must be less than 253 characters long')
    : fine;
}

/** Most environment variables of a VM, and the longest name and value. */
const mostVariables = 256;
const longestName = 256;
const longestValue = 2048;

function checkEnv(vmConfig: WasmExtension['vmConfig'], path: string): Findings {
  const seen = new Set<string>();
  const env = vmConfig?.env ?? [];
  const many: Findings =
    env.length > mostVariables ? doubtful(path, `the API server takes at most ${mostVariables} variables`) : fine;
  const findings = each(env, path, (variable, at) => {
    const { name = '', value = '' } = variable;
    if (name === '' || name.length > longestName) return invalid(`${at}.name`, 'spec.vmConfig.env invalid');
    const repeated = seen.has(name) ? duplicate(`${at}.name`, `duplicate env ${name}`) : fine;
    seen.add(name);
    const host = variable.valueFrom === 'HOST';
    return [
      ...repeated,
      ...(host && value !== '' ? conflict(`${at}.value`, 'value may only be set when valueFrom is INLINE') : fine),
      ...(value.length > longestValue
        ? doubtful(`${at}.value`, `the API server takes at most ${longestValue} characters`)
        : fine),
    ];
  });
  return [...many, ...findings];
}

function checkMatch(match: readonly TrafficSelector[] | undefined, path: string): Findings {
  return each(match, path, (selector, at) =>
    each(selector.ports, `${at}.ports`, ({ number = 0 }, port) =>
      number >= 1 && number <= 65535 ? fine : invalid(`${port}.number`, `port is out of range: ${number}`),
    ),
  );
}
