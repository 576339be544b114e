// What proxyless gRPC asks for: `host:port` of a service, by any of its names, and `outbound|port|subset|host`.
import type { Read } from '../../graph/graph.ts';
import { serviceOfHost } from '../../model/routed-services.ts';
import type { Service } from '../../model/service.ts';
import { services } from '../../model/services.ts';
import type { ScopeKey } from '../../model/sidecar-scope.ts';
import { fqdnCandidates } from './dns-search.ts';

/** The client, as far as names mean different things to it. */
export interface GrpcClient extends ScopeKey {
  readonly dnsDomain: string;
}

/** A service's port that a client means. */
export interface GrpcTarget {
  readonly service: Service;
  readonly port: number;
}

/** The target of a listener's name; undefined where no visible service has that name and port. */
export function targetOf(read: Read, client: GrpcClient, name: string): GrpcTarget | undefined {
  const parts = /^(?<host>[^/|]+):(?<port>\d{1,5})$/u.exec(name)?.groups;
  if (parts === undefined) return undefined;
  const port = Number(parts['port']);
  for (const hostname of fqdnCandidates(parts['host'] ?? '', client.dnsDomain)) {
    const service = serviceNamed(read, client, hostname);
    if (service?.ports.some(({ number }) => number === port)) return { service, port };
  }
  return undefined;
}

/** The target of a route configuration's or cluster's name, with its subset. */
export function outboundTargetOf(
  read: Read,
  client: ScopeKey,
  name: string,
): (GrpcTarget & { readonly subset: string }) | undefined {
  const [direction, port = '', subset = '', hostname = '', ...rest] = name.split('|');
  if (direction !== 'outbound' || rest.length > 0 || !/^\d{1,5}$/u.test(port)) return undefined;
  const service = serviceNamed(read, client, hostname);
  const number = Number(port);
  if (service === undefined || !service.ports.some((one) => one.number === number)) return undefined;
  return { service, port: number, subset };
}

function serviceNamed(read: Read, { namespace, scope }: ScopeKey, hostname: string): Service | undefined {
  const scoped = read(serviceOfHost, { namespace, scope, hostname });
  return scoped === undefined ? undefined : read(services, scoped.service);
}
