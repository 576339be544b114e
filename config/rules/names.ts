// Names in configuration: domain names, ports, protocols, namespaces, labels. The rules are Istio's, laxer than RFC 1123.
import { conflict, duplicate, each, type Findings, fine, invalid } from './finding.ts';
import { isProtocol } from './protocols.ts';

const label = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const wildcardLabel = /^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;
const namespaceName = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const integer = /^[+-]?[0-9]+$/;

/** Whether a text is a DNS label of at most 63 bytes; upper case is allowed. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** Whether a text is a Kubernetes namespace name. */
export function isNamespaceName(text: string): boolean {
  return text.length <= 63 && namespaceName.test(text);
}

/** Whether a text is a DNS subdomain as Kubernetes names objects and hosts: RFC 1123 in lower case. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => namespaceName.test(part));
}

/** What is wrong with a domain name that may begin with a wildcard, `*`, `*.example.com`, `*-x.example.com`. */
export function wildcardDomainProblem(domain: string): string | undefined {
  const limits = domainLimitProblem(domain);
  if (limits !== undefined) return limits;
  const dot = domain.indexOf('.');
  const first = dot < 0 ? domain : domain.slice(0, dot);
  if (first.length > 63 || !wildcardLabel.test(first))
    return `domain name "${domain}" invalid (label "${first}" invalid)`;
  return dot < 0 ? undefined : labelsProblem(domain.slice(dot + 1));
}

/** What is wrong with a fully qualified domain name. */
export function domainProblem(domain: string): string | undefined {
  return domainLimitProblem(domain) ?? labelsProblem(domain);
}

/** Checks a domain name that may begin with a wildcard. */
export function checkWildcardDomain(domain: string | undefined, path: string): Findings {
  const problem = wildcardDomainProblem(domain ?? '');
  return problem === undefined ? fine : invalid(path, problem);
}

/** Checks a fully qualified domain name. */
export function checkDomain(domain: string | undefined, path: string): Findings {
  const problem = domainProblem(domain ?? '');
  return problem === undefined ? fine : invalid(path, problem);
}

/** Checks a port number; an absent one is 0. */
export function checkPortNumber(port: number | undefined, path: string): Findings {
  const number = port ?? 0;
  if (number >= 1 && number <= 65535) return fine;
  return invalid(path, `port number ${number} must be in the range 1..65535`);
}

/** Checks the name of a port. */
export function checkPortName(name: string | undefined, path: string): Findings {
  return isDnsLabel(name ?? '') ? fine : invalid(path, `invalid port name: ${name ?? ''}`);
}

/** Checks the name of a subset. */
export function checkSubsetName(name: string | undefined, path: string): Findings {
  if (name === undefined || name === '') return invalid(path, 'subset name cannot be empty');
  return isDnsLabel(name) ? fine : invalid(path, `subset name is invalid: ${name}`);
}

/** Checks the name of a protocol, in any case. */
export function checkProtocol(protocol: string | undefined, path: string): Findings {
  if (isProtocol(protocol)) return fine;
  return invalid(path, `unsupported protocol: ${protocol ?? ''}`);
}

const qualifiedName =
  /^(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*\/)?([A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Checks labels of workloads: Kubernetes' qualified names and values. */
export function checkLabels(labels: Readonly<Record<string, string>> | undefined, path: string): Findings {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => {
    const at = `${path}.${key}`;
    const name = qualifiedName.exec(key)?.[1];
    const keyFindings =
      name === undefined || name.length > 63 || key.length - name.length > 254
        ? invalid(at, `invalid tag key: "${key}"`)
        : fine;
    const valueFindings =
      value.length > 63 || !labelValue.test(value) ? invalid(at, `invalid tag value: "${value}"`) : fine;
    return [...keyFindings, ...valueFindings];
  });
}

/**
 * Checks to which namespaces an object is exported: `.`, `*` or names, each once, `*` alone. `~`, to nobody, is for
 * services only.
 */
export function checkExportTo(
  exportTo: readonly string[] | undefined,
  namespace: string,
  path: string,
  mayBeNobody = false,
): Findings {
  const seen = new Set<string>();
  const entries = each(exportTo, path, (entry, at) => {
    const key = entry === '.' ? namespace : entry;
    if (seen.has(key)) {
      return duplicate(
        at,
        `duplicate entries in exportTo: ${entry === '.' ? `. and current namespace ${namespace}` : entry}`,
      );
    }
    seen.add(key);
    if (entry === '.' || entry === '*' || (entry === '~' && mayBeNobody) || isDnsLabel(entry)) return fine;
    return invalid(at, 'only ., *, or a namespace name is allowed as exportTo entry');
  });
  const several = (exportTo?.length ?? 0) > 1;
  const both =
    several && seen.has('*')
      ? conflict(path, 'cannot have both public (*) and non-public exportTo values')
      : several && seen.has('~')
        ? conflict(path, 'cannot export to no one (~) and someone')
        : fine;
  return [...entries, ...both];
}

function domainLimitProblem(domain: string): string | undefined {
  if (domain === '') return 'empty domain name not allowed';
  if (Buffer.byteLength(domain) > 255) return `domain name "${domain}" too long (max 255)`;
  return undefined;
}

function labelsProblem(domain: string): string | undefined {
  const parts = domain.split('.');
  const last = parts.at(-1) ?? '';
  if (integer.test(last)) return `domain name "${domain}" invalid (top level domain "${last}" cannot be all-numeric)`;
  // A last empty part is the root, as in `istio.io.`.
  const bad = parts.find((part, index) => !(index === parts.length - 1 && part === '') && !isDnsLabel(part));
  return bad === undefined ? undefined : `domain name "${domain}" invalid (label "${bad}" invalid)`;
}
