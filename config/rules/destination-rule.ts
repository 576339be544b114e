// Rules of DestinationRule.
import type { ClientTlsSettings } from '../kinds/common.ts';
import type {
  DestinationRule,
  PortTrafficPolicy,
  RetryBudget,
  Subset,
  TrafficPolicy,
  TunnelSettings,
} from '../kinds/destination-rule.ts';
import { isIpAddress } from './addresses.ts';
import { checkConnectionPool, checkOutlierDetection } from './connection-pool.ts';
import { asWarning, conflict, doubtful, each, type Findings, fine, invalid, missing, unique } from './finding.ts';
import { checkLoadBalancer } from './load-balancer.ts';
import {
  checkExportTo,
  checkLabels,
  checkPortNumber,
  checkSubsetName,
  checkWildcardDomain,
  domainProblem,
} from './names.ts';
import { checkSelector } from './selectors.ts';

/** What Istio's webhook refuses or warns about in a DestinationRule. */
export function checkDestinationRule(rule: DestinationRule): Findings {
  const { spec } = rule;
  return [
    ...checkWildcardDomain(spec.host, 'spec.host'),
    ...checkTrafficPolicy(spec.trafficPolicy, 'spec.trafficPolicy'),
    ...each(spec.subsets, 'spec.subsets', checkSubset),
    ...unique(
      spec.subsets,
      'spec.subsets',
      (subset) => subset.name,
      (name) => `duplicate subset names: ${name}`,
    ),
    ...checkExportTo(spec.exportTo, rule.metadata.namespace, 'spec.exportTo'),
    ...checkScope(rule, 'spec.exportTo'),
    ...checkSelector(spec.workloadSelector, 'spec.workloadSelector'),
  ];
}

/** A rule for selected workloads is for those of its own namespace. */
function checkScope({ spec, metadata }: DestinationRule, path: string): Findings {
  if (spec.workloadSelector === undefined) return fine;
  const others = (spec.exportTo ?? []).filter((entry) => entry !== '.' && entry !== metadata.namespace);
  return others.length === 0
    ? fine
    : conflict(path, 'destination rule with workload selector cannot have exportTo beyond current namespace');
}

function checkSubset(subset: Subset, path: string): Findings {
  return [
    ...checkSubsetName(subset.name, `${path}.name`),
    ...checkLabels(subset.labels, `${path}.labels`),
    ...checkTrafficPolicy(subset.trafficPolicy, `${path}.trafficPolicy`),
  ];
}

function checkTrafficPolicy(policy: TrafficPolicy | undefined, path: string): Findings {
  if (policy === undefined) return fine;
  const portLevel = policy.portLevelSettings ?? [];
  const empty = portLevel.length === 0 && Object.entries(policy).every(([name]) => name === 'portLevelSettings');
  return [
    ...(empty ? missing(path, 'traffic policy must have at least one field') : fine),
    ...checkOutlierDetection(policy.outlierDetection, `${path}.outlierDetection`),
    ...checkConnectionPool(policy.connectionPool, `${path}.connectionPool`),
    ...checkLoadBalancer(policy.loadBalancer, policy.outlierDetection, `${path}.loadBalancer`),
    ...checkClientTls(policy.tls, `${path}.tls`),
    ...each(portLevel, `${path}.portLevelSettings`, checkPortPolicy),
    ...(policy.tunnel !== undefined && policy.proxyProtocol !== undefined
      ? conflict(`${path}.tunnel`, 'tunnel and proxyProtocol must not be set together')
      : fine),
    ...checkTunnel(policy.tunnel, `${path}.tunnel`),
    ...checkRetryBudget(policy.retryBudget, `${path}.retryBudget`),
  ];
}

function checkPortPolicy(policy: PortTrafficPolicy, path: string): Findings {
  const { port, loadBalancer, connectionPool, outlierDetection, tls } = policy;
  const empty = [loadBalancer, connectionPool, outlierDetection, tls].every((part) => part === undefined);
  return [
    ...(port === undefined
      ? missing(`${path}.port`, 'portTrafficPolicy must have valid port')
      : checkPortNumber(port.number, `${path}.port.number`).map(asWarning)),
    ...(empty ? missing(path, 'port traffic policy must have at least one field') : fine),
    ...checkOutlierDetection(outlierDetection, `${path}.outlierDetection`),
    ...checkConnectionPool(connectionPool, `${path}.connectionPool`),
    ...checkLoadBalancer(loadBalancer, outlierDetection, `${path}.loadBalancer`),
    ...checkClientTls(tls, `${path}.tls`),
  ];
}

/** Checks the TLS settings of a client: what a mode needs, and what excludes each other. */
export function checkClientTls(tls: ClientTlsSettings | undefined, path: string): Findings {
  if (tls === undefined) return fine;
  const mode = tls.mode ?? 'DISABLE';
  const set = (...names: readonly (keyof ClientTlsSettings)[]) => names.some((name) => isSet(tls[name]));
  const usesCredential = (mode === 'SIMPLE' || mode === 'MUTUAL') && set('credentialName');
  return [
    ...(tls.insecureSkipVerify === true &&
    mode === 'SIMPLE' &&
    set('caCertificates', 'credentialName', 'subjectAltNames')
      ? conflict(
          path,
          'cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true',
        )
      : fine),
    ...(tls.insecureSkipVerify === true && mode === 'MUTUAL' && set('caCertificates', 'subjectAltNames')
      ? conflict(path, 'cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true')
      : fine),
    ...(usesCredential && set('clientCertificate', 'caCertificates', 'privateKey', 'caCrl')
      ? conflict(path, 'cannot specify client certificates or CA certificate or CA CRL if credentialName is set')
      : fine),
    ...(mode === 'MUTUAL' && !usesCredential && !set('clientCertificate')
      ? missing(`${path}.clientCertificate`, 'client certificate required for mutual tls')
      : fine),
    ...(mode === 'MUTUAL' && !usesCredential && !set('privateKey')
      ? missing(`${path}.privateKey`, 'private key required for mutual tls')
      : fine),
  ];
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== '' && value !== false;
}

function checkTunnel(tunnel: TunnelSettings | undefined, path: string): Findings {
  if (tunnel === undefined) return fine;
  const host = tunnel.targetHost ?? '';
  const problem = isIpAddress(host) ? undefined : domainProblem(host);
  return [
    ...(['', 'CONNECT', 'POST'].includes(tunnel.protocol ?? '')
      ? fine
      : invalid(`${path}.protocol`, 'tunnel protocol must be "CONNECT" or "POST"')),
    ...(problem === undefined
      ? fine
      : invalid(`${path}.targetHost`, `tunnel target host must be valid FQDN or IP address: ${problem}`)),
    ...checkPortNumber(tunnel.targetPort, `${path}.targetPort`),
  ];
}

function checkRetryBudget(budget: RetryBudget | undefined, path: string): Findings {
  const percent = budget?.percent;
  return percent === undefined || (percent >= 0 && percent <= 100)
    ? fine
    : doubtful(`${path}.percent`, `retry budget percent must be in range 0..100, was ${percent}`);
}
