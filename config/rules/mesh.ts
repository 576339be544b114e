// Rules of MeshConfig that its schema cannot say.
import type { Diagnostic } from '../diagnostic.ts';
import { errorOf } from '../diagnostic.ts';
import { millisecondsOf, parseDuration } from '../duration.ts';
import type { MeshConfig } from '../mesh.ts';

/** What is wrong with settings of the mesh; every finding is an error. */
export function meshRules(mesh: MeshConfig): readonly Diagnostic[] {
  return [
    ...portRule('proxyListenPort', mesh.proxyListenPort),
    ...portRule('proxyInboundListenPort', mesh.proxyInboundListenPort),
    ...portRule('defaultConfig.proxyAdminPort', mesh.defaultConfig.proxyAdminPort),
    ...portRule('defaultConfig.statusPort', mesh.defaultConfig.statusPort),
    ...spanRule('connectTimeout', mesh.connectTimeout, 1, 3_600_000),
    ...spanRule('protocolDetectionTimeout', mesh.protocolDetectionTimeout, 0, 3_600_000),
    ...spanRule('dnsRefreshRate', mesh.dnsRefreshRate, 1, Number.POSITIVE_INFINITY),
    ...nonEmpty('trustDomain', mesh.trustDomain),
    ...nonEmpty('rootNamespace', mesh.rootNamespace),
    ...nonEmpty('defaultConfig.discoveryAddress', mesh.defaultConfig.discoveryAddress),
    ...providerRules(mesh),
  ];
}

function portRule(path: string, port: number): readonly Diagnostic[] {
  const inRange = port >= 0 && port <= 65535;
  return inRange ? [] : [errorOf('invalid-value', 'must be a port, from 0 to 65535', { path })];
}

function spanRule(path: string, text: string, shortest: number, longest: number): readonly Diagnostic[] {
  const span = parseDuration(text);
  const inRange = span !== undefined && millisecondsOf(span) >= shortest && millisecondsOf(span) <= longest;
  const range = longest === Number.POSITIVE_INFINITY ? `at least ${shortest} ms` : `from ${shortest} ms to 1 h`;
  return inRange ? [] : [errorOf('invalid-value', `must be ${range}`, { path })];
}

function nonEmpty(path: string, text: string): readonly Diagnostic[] {
  return text === '' ? [errorOf('missing-field', 'must not be empty', { path })] : [];
}

function providerRules(mesh: MeshConfig): readonly Diagnostic[] {
  return mesh.extensionProviders.flatMap((provider, index) =>
    (provider.name ?? '') === ''
      ? [errorOf('missing-field', 'a provider needs a name', { path: `extensionProviders[${index}].name` })]
      : [],
  );
}
