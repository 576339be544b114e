// Every annotation that injection obeys, with the check its value must pass before any of them takes effect.
import { isObject, type JsonObject } from './json.ts';
import { parseProxyConfig } from './proxy-config.ts';
import { canonicalQuantity } from './quantity.ts';

/** Why an annotation's value is refused. */
export interface AnnotationProblem {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

type Check = (value: string) => string | undefined;

const anyLine: Check = () => undefined;

/** Annotations that hold one plain value; it may end up in an argument, a variable or a name. */
const singleLine: { readonly [name: string]: Check } = {
  'sidecar.istio.io/inject': anyLine,
  'sidecar.istio.io/interceptionMode': checkInterceptionMode,
  'sidecar.istio.io/proxyImage': anyLine,
  'sidecar.istio.io/proxyImageType': anyLine,
  'sidecar.istio.io/proxyCPU': checkQuantity,
  'sidecar.istio.io/proxyCPULimit': checkQuantity,
  'sidecar.istio.io/proxyMemory': checkQuantity,
  'sidecar.istio.io/proxyMemoryLimit': checkQuantity,
  'sidecar.istio.io/bootstrapOverride': anyLine,
  'sidecar.istio.io/logLevel': anyLine,
  'sidecar.istio.io/componentLogLevel': anyLine,
  'sidecar.istio.io/agentLogLevel': anyLine,
  'sidecar.istio.io/rewriteAppHTTPProbers': anyLine,
  'sidecar.istio.io/nativeSidecar': anyLine,
  'sidecar.istio.io/capNetBindService': anyLine,
  'sidecar.istio.io/discoveryAddress': anyLine,
  'sidecar.istio.io/enableCoreDump': checkBoolean,
  'sidecar.istio.io/statsInclusionPrefixes': anyLine,
  'sidecar.istio.io/statsInclusionSuffixes': anyLine,
  'sidecar.istio.io/statsInclusionRegexps': anyLine,
  'sidecar.istio.io/statsHistogramBuckets': checkJson,
  'sidecar.istio.io/statsHistogramBins': anyLine,
  'sidecar.istio.io/statsFlushInterval': anyLine,
  'sidecar.istio.io/statsEvictionInterval': anyLine,
  'sidecar.istio.io/statsCompression': anyLine,
  'sidecar.istio.io/extraStatTags': anyLine,
  'status.sidecar.istio.io/port': checkPort,
  'readiness.status.sidecar.istio.io/initialDelaySeconds': checkUnsigned,
  'readiness.status.sidecar.istio.io/periodSeconds': checkUnsigned,
  'readiness.status.sidecar.istio.io/failureThreshold': checkUnsigned,
  'readiness.status.sidecar.istio.io/applicationPorts': anyLine,
  'traffic.sidecar.istio.io/includeOutboundIPRanges': (value) => prefixed('includeIPRanges', checkRanges(value, true)),
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': (value) => prefixed('excludeIPRanges', checkRanges(value, false)),
  'traffic.sidecar.istio.io/includeInboundPorts': (value) => prefixed('includeInboundPorts', checkPorts(value, true)),
  'traffic.sidecar.istio.io/excludeInboundPorts': (value) => prefixed('excludeInboundPorts', checkPorts(value, false)),
  'traffic.sidecar.istio.io/excludeOutboundPorts': (value) =>
    prefixed('excludeOutboundPorts', checkPorts(value, false)),
  'traffic.sidecar.istio.io/includeOutboundPorts': anyLine,
  'traffic.sidecar.istio.io/kubevirtInterfaces': anyLine,
  'traffic.sidecar.istio.io/excludeInterfaces': anyLine,
  'istio.io/reroute-virtual-interfaces': anyLine,
  'istio.io/rev': anyLine,
  'inject.istio.io/templates': anyLine,
  'prometheus.istio.io/merge-metrics': checkBoolean,
  'prometheus.istio.io/scrape-targets': anyLine,
  'ambient.istio.io/redirection': anyLine,
  'ambient.istio.io/bypass-inbound-capture': anyLine,
  'ambient.istio.io/dns-capture': anyLine,
  'meltemi.io/proxy': (value) =>
    value === 'envoy' || value === 'istio-proxy' ? undefined : 'use envoy or istio-proxy',
};

/** Annotations that hold JSON or YAML, where several lines are usual. */
const documents: { readonly [name: string]: Check } = {
  'proxy.istio.io/config': (value) => {
    const parsed = parseProxyConfig(value);
    return 'problem' in parsed ? `failed to convert to apply proxy config: ${parsed.problem}` : undefined;
  },
  'sidecar.istio.io/userVolume': (value) => checkNamedJson(value, () => undefined),
  'sidecar.istio.io/userVolumeMount': (value) => checkNamedJson(value, mountProblem),
  'apm.datadoghq.com/env': checkJson,
};

/** The longest single value that is accepted, in characters. */
const maximumLine = 32 * 1024;

/**
 * The problems of a pod's annotations, in the order of their names. Values that Istio's text templates would have
 * carried into YAML (line breaks and other control characters) are refused although nothing here could be misled
 * by them: a pod that says such things is not what its author believes.
 */
export function checkAnnotations(annotations: Readonly<Record<string, string>>): readonly AnnotationProblem[] {
  const problems: AnnotationProblem[] = [];
  for (const name of Object.keys(annotations).sort()) {
    const value = annotations[name];
    const reason = value === undefined ? undefined : checkOne(name, value);
    if (value !== undefined && reason !== undefined) problems.push({ name, value, reason });
  }
  return problems;
}

/** The problem as Istio words it. */
export function problemText(problem: AnnotationProblem): string {
  return `invalid value '${problem.value}' for annotation '${problem.name}': ${problem.reason}`;
}

function checkOne(name: string, value: string): string | undefined {
  if (Object.hasOwn(documents, name)) return documents[name]?.(value);
  if (!Object.hasOwn(singleLine, name)) return undefined;
  if (typeof value !== 'string') return 'is not text';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is refused
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value))
    return 'contains a line break or another control character';
  if (value.length > maximumLine) return `is longer than ${maximumLine} characters`;
  return singleLine[name]?.(value);
}

function prefixed(setting: string, reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : `${setting} invalid: ${reason}`;
}

function checkInterceptionMode(value: string): string | undefined {
  const known = ['', 'REDIRECT', 'TPROXY', 'NONE'].includes(value);
  return known ? undefined : `interceptionMode invalid, use REDIRECT,TPROXY,NONE: ${value}`;
}

function checkQuantity(value: string): string | undefined {
  return canonicalQuantity(value) === undefined ? `'${value}' is not a quantity such as 100m or 128Mi` : undefined;
}

function checkBoolean(value: string): string | undefined {
  return booleanOf(value) === undefined ? `parsing "${value}": invalid syntax` : undefined;
}

/** Go's strconv.ParseBool. */
export function booleanOf(value: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true;
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value) ? false : undefined;
}

function checkUnsigned(value: string): string | undefined {
  return unsignedProblem(value, 0xffff_ffff);
}

function unsignedProblem(value: string, maximum: number): string | undefined {
  if (!/^\d{1,20}$/.test(value)) return `parsing "${value}": invalid syntax`;
  return Number(value) > maximum ? `parsing "${value}": value out of range` : undefined;
}

function checkPort(value: string): string | undefined {
  const problem = unsignedProblem(value, 0xffff);
  return problem === undefined ? undefined : `failed parsing port '${value}': ${problem}`;
}

function checkPorts(value: string, star: boolean): string | undefined {
  if (star && value === '*') return undefined;
  for (const port of listItems(value)) {
    const problem = checkPort(port.trim());
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkRanges(value: string, star: boolean): string | undefined {
  if (star && value === '*') return undefined;
  for (const range of listItems(value)) {
    const problem = rangeProblem(range);
    if (problem !== undefined) return `failed parsing cidr '${range}': ${problem}`;
  }
  return undefined;
}

// An empty list is none, an empty item an error.
function listItems(value: string): readonly string[] {
  return value.trim() === '' ? [] : value.split(',');
}

function rangeProblem(range: string): string | undefined {
  const slash = range.lastIndexOf('/');
  if (slash < 0) return `no '/'`;
  const address = range.slice(0, slash);
  const bits = range.slice(slash + 1);
  const limit = isIpv4(address) ? 32 : isIpv6(address) ? 128 : undefined;
  if (limit === undefined) return 'unable to parse IP';
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) return 'bad bits after slash';
  return Number(bits) > limit ? 'prefix length out of range' : undefined;
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(':')) return false;
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const count = halves.reduce((sum, half) => sum + groupCount(half), 0);
  return !Number.isNaN(count) && (halves.length === 2 ? count < 8 : count === 8);
}

function groupCount(half: string): number {
  if (half === '') return 0;
  const groups = half.split(':');
  return groups.reduce((sum, group, i) => {
    if (i === groups.length - 1 && group.includes('.')) return isIpv4(group) ? sum + 2 : Number.NaN;
    return /^[0-9a-fA-F]{1,4}$/.test(group) ? sum + 1 : Number.NaN;
  }, 0);
}

function checkJson(value: string): string | undefined {
  if (value.length > maximumLine) return `is longer than ${maximumLine} characters`;
  try {
    JSON.parse(value);
    return undefined;
  } catch {
    return 'is not JSON';
  }
}

/** Checks a map of objects by their names, or a list of objects with names. */
function checkNamedJson(value: string, check: (item: JsonObject) => string | undefined): string | undefined {
  const problem = checkJson(value);
  if (problem !== undefined) return problem;
  const parsed: unknown = JSON.parse(value);
  const isList = Array.isArray(parsed);
  if (!isList && !isObject(parsed)) return 'is neither a map nor a list of objects';
  for (const [key, item] of Object.entries(parsed)) {
    const at = isList ? `item ${key}` : JSON.stringify(key);
    if (!isObject(item)) return `${at} is no object`;
    const name = Object.hasOwn(item, 'name') || isList ? item['name'] : key;
    if (typeof name !== 'string' || name === '') return `${at} has no name`;
    if (!isLabel(name)) return `${at} has the name ${JSON.stringify(name)}, which no volume can have`;
    const reason = check(item);
    if (reason !== undefined) return `${at} ${reason}`;
  }
  return undefined;
}

/** A name by RFC 1123, as Kubernetes wants it for volumes. */
function isLabel(name: string): boolean {
  return name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name);
}

function mountProblem(mount: JsonObject): string | undefined {
  const path = Object.entries(mount).find(([field]) => field.toLowerCase() === 'mountpath')?.[1];
  return typeof path === 'string' && path !== '' ? undefined : 'has no mountPath';
}

/** Names of all annotations that injection obeys. */
export const knownAnnotations: readonly string[] = [
  ...Object.keys(singleLine),
  ...Object.keys(documents),
  'proxy.istio.io/overrides',
].sort();
