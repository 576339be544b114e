// A VirtualService among the others: its gateways, destinations, subsets, and others for its hosts.
import type { Diagnostic } from '../diagnostic.ts';
import { meshGateway, resolveGatewayName } from '../gateway-name.ts';
import type { ObjectOf } from '../kinds/kinds.ts';
import type { Destination, VirtualService } from '../kinds/virtual-service.ts';
import { compareAge, keyOf } from '../object.ts';
import { closestName } from '../suggestion.ts';
import { relateDelegates } from './delegation.ts';
import { absent, overridden } from './finding.ts';
import { fullHost, isOfMesh, type Surroundings, serviceOf } from './view.ts';

/** What is missing around a VirtualService, or has precedence over it. */
export function relateVirtualService(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  return [
    ...relateGateways(object, around),
    ...relateRoutes(object, around),
    ...relateDelegates(object, around),
    ...relateHosts(object, around),
  ];
}

function relateGateways({ spec, metadata }: VirtualService, { get, gatewayKeys }: Surroundings): readonly Diagnostic[] {
  return (spec.gateways ?? []).flatMap((reference, index) => {
    const key = resolveGatewayName(reference, metadata.namespace);
    if (key === meshGateway || get('Gateway', key) !== undefined) return [];
    const close = closestName(key, gatewayKeys());
    return absent(
      `spec.gateways[${index}]`,
      `Gateway ${key}`,
      close === undefined ? undefined : `did you mean ${close}?`,
    );
  });
}

function relateRoutes(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  const { spec } = object;
  const http = (spec.http ?? []).flatMap((route, index) => {
    const path = `spec.http[${index}]`;
    return [
      ...(route.route ?? []).flatMap(({ destination }, at) =>
        relateDestination(destination, `${path}.route[${at}].destination`, object, around),
      ),
      ...relateDestination(route.mirror, `${path}.mirror`, object, around),
      ...(route.mirrors ?? []).flatMap(({ destination }, at) =>
        relateDestination(destination, `${path}.mirrors[${at}].destination`, object, around),
      ),
    ];
  });
  const others = (['tls', 'tcp'] as const).flatMap((field) =>
    (spec[field] ?? []).flatMap((route, index) =>
      (route.route ?? []).flatMap(({ destination }, at) =>
        relateDestination(destination, `spec.${field}[${index}].route[${at}].destination`, object, around),
      ),
    ),
  );
  return [...http, ...others];
}

function relateDestination(
  destination: Destination | undefined,
  path: string,
  { metadata }: VirtualService,
  around: Surroundings,
): readonly Diagnostic[] {
  if (destination?.host === undefined || destination.host === '') return [];
  const host = fullHost(destination.host, metadata.namespace, around.domain);
  const service = serviceOf(around, host);
  const entries = service === undefined ? around.entriesOf(host) : [];
  if (service === undefined && entries.length === 0) {
    return absent(`${path}.host`, `a Service or ServiceEntry of host ${host}`, 'requests are answered with 503');
  }
  return [
    ...relatePort(destination, portsOf(service, entries), path, host),
    ...relateSubset(destination, path, host, around),
  ];
}

function portsOf(
  service: ObjectOf<'Service'> | undefined,
  entries: readonly ObjectOf<'ServiceEntry'>[],
): readonly number[] {
  const ofService = (service?.spec?.ports ?? []).map(({ port }) => port);
  const ofEntries = entries.flatMap(({ spec }) => (spec.ports ?? []).map(({ number }) => number));
  return [...ofService, ...ofEntries].filter((port) => port !== undefined);
}

function relatePort(
  { port }: Destination,
  ports: readonly number[],
  path: string,
  host: string,
): readonly Diagnostic[] {
  if (port?.number === undefined || ports.length === 0 || ports.includes(port.number)) return [];
  return absent(`${path}.port.number`, `port ${port.number} of ${host}`, `it has ${ports.join(', ')}`);
}

function relateSubset(
  { subset }: Destination,
  path: string,
  host: string,
  { rulesOf }: Surroundings,
): readonly Diagnostic[] {
  if (subset === undefined || subset === '') return [];
  const defined = rulesOf(host).flatMap(({ spec }) => (spec.subsets ?? []).map(({ name }) => name ?? ''));
  if (defined.includes(subset)) return [];
  const help =
    defined.length === 0 ? 'a DestinationRule defines subsets' : `there are ${[...new Set(defined)].join(', ')}`;
  return absent(`${path}.subset`, `subset ${subset} of ${host}`, help);
}

/** In the mesh one VirtualService counts for a host: the oldest. Gateways merge them. */
function relateHosts(object: VirtualService, around: Surroundings): readonly Diagnostic[] {
  if (!isOfMesh(object)) return [];
  return (object.spec.hosts ?? []).flatMap((text, index) => {
    const host = fullHost(text, object.metadata.namespace, around.domain);
    const same = around
      .meshRoutesOf(object.metadata.namespace, host)
      .find(({ metadata }) => keyOf(metadata) !== keyOf(object.metadata));
    if (same === undefined) return [];
    const wins = compareAge(object, same) < 0 ? 'this one counts' : 'the other one counts';
    return overridden(
      `spec.hosts[${index}]`,
      `VirtualService ${keyOf(same.metadata)} is for host ${host} too; in the mesh the oldest counts, ${wins}`,
    );
  });
}
