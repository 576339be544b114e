// Rules of VirtualService.
import type { VirtualService } from '../kinds/virtual-service.ts';
import { isIpAddress } from './addresses.ts';
import { duplicate, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkGatewayNames } from './gateway-names.ts';
import { overlapsOf, withinAny, withoutSniPrefix } from './hosts.ts';
import { isClaimName } from './http-headers.ts';
import { checkHttpRoute } from './http-route.ts';
import { checkTcpRoute, checkTlsRoute } from './l4-route.ts';
import { checkExportTo, wildcardDomainProblem } from './names.ts';
import { checkUnreachable } from './unreachable.ts';

/** What is wrong or doubtful in a VirtualService. */
export function checkVirtualService(object: VirtualService): Findings {
  const { spec } = object;
  const hosts = spec.hosts ?? [];
  const isWithin = withinAny(hosts);
  const routes = (spec.http ?? []).length + (spec.tls ?? []).length + (spec.tcp ?? []).length;
  return [
    ...(hosts.length === 0 ? checkDelegate(object) : fine),
    ...checkGatewayNames(spec.gateways, 'spec.gateways'),
    ...checkClaims(object),
    ...checkHosts(object),
    ...(routes === 0 ? missing('spec', 'http, tcp or tls must be provided in virtual service') : fine),
    ...each(spec.http, 'spec.http', checkHttpRoute),
    ...each(spec.tls, 'spec.tls', (route, path) => checkTlsRoute(route, path, isWithin)),
    ...each(spec.tcp, 'spec.tcp', checkTcpRoute),
    ...checkExportTo(spec.exportTo, object.metadata.namespace, 'spec.exportTo'),
    ...checkUnreachable(object),
  ];
}

/**
 * Without hosts it is a delegate: routes of HTTP for another VirtualService, which names hosts and gateways. Istio follows
 * one level (VirtualService's HTTPRoute.delegate), so that delegates in a circle are refused too.
 */
function checkDelegate({ spec }: VirtualService): Findings {
  return [
    ...((spec.gateways ?? []).length > 0
      ? invalid('spec.gateways', 'delegate virtual service must have no gateways specified')
      : fine),
    ...((spec.tls ?? []).length > 0
      ? invalid('spec.tls', 'delegate virtual service must have no tls route specified')
      : fine),
    ...((spec.tcp ?? []).length > 0
      ? invalid('spec.tcp', 'delegate virtual service must have no tcp route specified')
      : fine),
    ...each(spec.http, 'spec.http', ({ delegate }, path) =>
      delegate === undefined
        ? fine
        : invalid(`${path}.delegate`, 'a delegate (it has no hosts) cannot delegate further'),
    ),
  ];
}

/** Only gateways verify tokens before they route. */
function checkClaims({ spec }: VirtualService): Findings {
  if ((spec.gateways ?? []).some((gateway) => gateway !== 'mesh')) return fine;
  return each(spec.http, 'spec.http', (route, path) =>
    each(route.match, `${path}.match`, (match, at) =>
      (['headers', 'withoutHeaders'] as const).flatMap((field) =>
        Object.keys(match[field] ?? {})
          .filter(isClaimName)
          .flatMap((name) =>
            invalid(`${at}.${field}`, `JWT claim based routing (key: ${name}) is only supported for gateway`),
          ),
      ),
    ),
  );
}

function checkHosts({ spec }: VirtualService): Findings {
  const hosts = spec.hosts ?? [];
  const ofMesh = (spec.gateways ?? []).length === 0 || (spec.gateways ?? []).includes('mesh');
  const bad = each(hosts, 'spec.hosts', (host, path) => {
    const problem = wildcardDomainProblem(withoutSniPrefix(host));
    if (problem !== undefined) return isIpAddress(host) ? fine : invalid(path, problem);
    if (host !== '*' || !ofMesh) return fine;
    return invalid(path, 'wildcard host * is not allowed for virtual services bound to the mesh gateway');
  });
  if (bad.length > 0) return bad;
  return overlapsOf(hosts).flatMap(({ index, other }) =>
    duplicate(`spec.hosts[${index}]`, `duplicate hosts in virtual service: ${hosts[other]} & ${hosts[index]}`),
  );
}
