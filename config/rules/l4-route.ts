// Rules of TLS and TCP routes.
import type { L4Match, TcpRoute, TlsMatch, TlsRoute } from '../kinds/virtual-service.ts';
import { checkIpOrRange, isIpAddress } from './addresses.ts';
import { checkWeighted } from './destination.ts';
import { doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkGatewayNames } from './gateway-names.ts';
import { withoutSniPrefix } from './hosts.ts';
import { checkLabels, checkPortNumber, checkWildcardDomain } from './names.ts';

/** Checks a TLS route of a VirtualService; `isWithin` says whether a host is one of the VirtualService's. */
export function checkTlsRoute(route: TlsRoute, path: string, isWithin: (host: string) => boolean): Findings {
  return [
    ...((route.match ?? []).length === 0
      ? missing(`${path}.match`, 'TLS route must have at least one match condition')
      : fine),
    ...each(route.match, `${path}.match`, (match, at) => [
      ...((match.sniHosts ?? []).length === 0
        ? missing(`${at}.sniHosts`, 'TLS match must have at least one SNI host')
        : fine),
      ...each(match.sniHosts, `${at}.sniHosts`, (host, hostAt) => checkSniHost(host, hostAt, isWithin)),
      ...checkL4Match(match, at),
    ]),
    ...((route.route ?? []).length === 0 ? missing(`${path}.route`, 'TLS route is required') : fine),
    ...checkWeighted(route.route, `${path}.route`),
  ];
}

/** Checks a TCP route. */
export function checkTcpRoute(route: TcpRoute, path: string): Findings {
  return [
    ...each(route.match, `${path}.match`, checkL4Match),
    ...((route.route ?? []).length === 0 ? missing(`${path}.route`, 'TCP route is required') : fine),
    ...checkWeighted(route.route, `${path}.route`),
  ];
}

function checkSniHost(host: string, path: string, isWithin: (host: string) => boolean): Findings {
  if (isIpAddress(host)) {
    return doubtful(path, `using an IP address ("${host}") goes against SNI spec and most clients do not support this`);
  }
  const domain = checkWildcardDomain(withoutSniPrefix(host), path);
  if (domain.length > 0 || isWithin(host)) return domain;
  return invalid(path, `SNI host "${host}" is not a compatible subset of any of the virtual service hosts`);
}

function checkL4Match(match: TlsMatch | L4Match, path: string): Findings {
  return [
    ...each(match.destinationSubnets, `${path}.destinationSubnets`, checkIpOrRange),
    ...(match.port === undefined || match.port === 0 ? fine : checkPortNumber(match.port, `${path}.port`)),
    ...checkLabels(match.sourceLabels, `${path}.sourceLabels`),
    ...checkGatewayNames(match.gateways, `${path}.gateways`),
  ];
}
