// Rules of random worlds: VirtualServices, DestinationRules, Sidecars, PeerAuthentications, Gateways and Ingresses.
import { type Dice, exportTo, istio, type Slot, services, versions } from './slot.ts';

/** Hosts that rules may name: short, full, wildcard, of entries, and one that never exists. */
const hosts = [
  'a',
  'b',
  'a.red.svc.cluster.local',
  'b.blue.svc.cluster.local',
  'c.blue.svc.cluster.local',
  'd.red',
  '*.blue.svc.cluster.local',
  'ext.example',
  '*.wild.example',
  'none.example',
] as const;

const concreteHosts = hosts.filter((host) => !host.startsWith('*'));

function destination(dice: Dice): Readonly<Record<string, unknown>> {
  return {
    host: dice.pick(concreteHosts),
    ...(dice.chance(0.5) ? { subset: dice.pick(versions) } : {}),
    ...(dice.chance(0.6) ? { port: { number: dice.pick([80, 9000, 7000]) } } : {}),
  };
}

const matches = [
  { uri: { prefix: '/x' } },
  { uri: { exact: '/y' }, method: { exact: 'GET' } },
  { headers: { end: { regex: 'v[0-9]+' } } },
  { port: 80 },
  { sourceLabels: { app: 'a' } },
  { sourceNamespace: 'red' },
  { gateways: ['mesh'], queryParams: { q: { exact: '1' } } },
] as const;

function httpRoute(dice: Dice): Readonly<Record<string, unknown>> {
  const match = dice.chance(0.6) ? { match: [dice.pick(matches)] } : {};
  if (dice.chance(0.08)) return { ...match, redirect: { uri: '/moved' } };
  if (dice.chance(0.05)) return { ...match, directResponse: { status: 418 } };
  const route = dice.chance(0.4)
    ? [
        { destination: destination(dice), weight: 30 },
        { destination: destination(dice), weight: 70 },
      ]
    : [{ destination: destination(dice) }];
  return {
    ...match,
    route,
    ...(dice.chance(0.2) ? { timeout: dice.pick(['1s', '5s']) } : {}),
    ...(dice.chance(0.2) ? { retries: { attempts: 2, retryOn: '5xx', perTryTimeout: '1s' } } : {}),
    ...(dice.chance(0.2) ? { mirror: destination(dice), mirrorPercentage: { value: 50 } } : {}),
    ...(dice.chance(0.1) ? { fault: { abort: { httpStatus: 503, percentage: { value: 10 } } } } : {}),
    ...(dice.chance(0.1) ? { rewrite: { uri: '/z' } } : {}),
    ...(dice.chance(0.1) ? { headers: { request: { set: { 'x-a': 'b' } } } } : {}),
  };
}

export const virtualService = (namespace: string, name: string): Slot =>
  istio('VirtualService', namespace, name, (dice) => ({
    hosts: [dice.pick(hosts), ...(dice.chance(0.2) ? ['extra.example'] : [])],
    ...(dice.chance(0.3) ? { gateways: [dice.pick(['mesh', 'gw', 'istio-system/gw']), 'mesh'] } : {}),
    ...(dice.chance(0.3) ? { exportTo: dice.pick(exportTo) } : {}),
    ...(dice.chance(0.85) ? { http: Array.from({ length: 1 + dice.below(3) }, () => httpRoute(dice)) } : {}),
    ...(dice.chance(0.3)
      ? {
          tcp: [
            { ...(dice.chance(0.5) ? { match: [{ port: 9000 }] } : {}), route: [{ destination: destination(dice) }] },
          ],
        }
      : {}),
    ...(dice.chance(0.2)
      ? { tls: [{ match: [{ port: 443, sniHosts: ['ext.example'] }], route: [{ destination: destination(dice) }] }] }
      : {}),
  }));

function trafficPolicy(dice: Dice): object {
  return {
    ...(dice.chance(0.4) ? { loadBalancer: { simple: dice.pick(['ROUND_ROBIN', 'RANDOM', 'PASSTHROUGH']) } } : {}),
    ...(dice.chance(0.2) ? { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } } : {}),
    ...(dice.chance(0.3) ? { outlierDetection: { consecutive5xxErrors: 3, interval: '5s' } } : {}),
    ...(dice.chance(0.3) ? { tls: { mode: dice.pick(['DISABLE', 'ISTIO_MUTUAL', 'SIMPLE']) } } : {}),
    ...(dice.chance(0.3) ? { connectionPool: { http: { http2MaxRequests: 10 + dice.below(3) } } } : {}),
    ...(dice.chance(0.2)
      ? { portLevelSettings: [{ port: { number: 80 }, connectionPool: { tcp: { maxConnections: 7 } } }] }
      : {}),
  };
}

export const destinationRule = (namespace: string, name: string): Slot =>
  istio('DestinationRule', namespace, name, (dice) => ({
    host: dice.pick(hosts),
    ...(dice.chance(0.7) ? { trafficPolicy: trafficPolicy(dice) } : {}),
    ...(dice.chance(0.7)
      ? {
          subsets: versions
            .filter(() => dice.chance(0.7))
            .map((version) => ({
              name: version,
              labels: { version },
              ...(dice.chance(0.3) ? { trafficPolicy: trafficPolicy(dice) } : {}),
            })),
        }
      : {}),
    ...(dice.chance(0.3) ? { exportTo: dice.pick(exportTo) } : {}),
    ...(dice.chance(0.15) ? { workloadSelector: { matchLabels: { app: 'a' } } } : {}),
  }));

const egressHosts = ['./*', '*/*', 'blue/*', 'istio-system/*', 'red/a.red.svc.cluster.local', '*/ext.example', '~/*'];

export const sidecar = (namespace: string, name: string): Slot =>
  istio('Sidecar', namespace, name, (dice) => ({
    ...(name === 'default' ? {} : { workloadSelector: { labels: { app: dice.pick(services) } } }),
    egress: [
      ...(dice.chance(0.3)
        ? [{ port: { number: 9080, protocol: 'HTTP', name: 'egress' }, hosts: [dice.pick(egressHosts)] }]
        : []),
      { hosts: [dice.pick(egressHosts), dice.pick(egressHosts)] },
    ],
    ...(dice.chance(0.3)
      ? { ingress: [{ port: { number: 9080, protocol: 'HTTP', name: 'in' }, defaultEndpoint: '127.0.0.1:8080' }] }
      : {}),
    ...(dice.chance(0.3) ? { outboundTrafficPolicy: { mode: dice.pick(['REGISTRY_ONLY', 'ALLOW_ANY']) } } : {}),
  }));

export const peerAuthentication = (namespace: string, name: string): Slot =>
  istio('PeerAuthentication', namespace, name, (dice) => ({
    ...(name === 'default' ? {} : { selector: { matchLabels: { app: dice.pick(services) } } }),
    mtls: { mode: dice.pick(['STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET']) },
    ...(name !== 'default' && dice.chance(0.5) ? { portLevelMtls: { 8080: { mode: 'DISABLE' } } } : {}),
  }));

export const gateway = (namespace: string, name: string): Slot =>
  istio('Gateway', namespace, name, (dice) => ({
    selector: { istio: 'ingressgateway' },
    servers: [
      { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [dice.pick(['*', 'extra.example', 'red/*'])] },
      ...(dice.chance(0.4)
        ? [{ port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } }]
        : []),
    ],
  }));

export const ingressClass: Slot = {
  ...{ kind: 'IngressClass', apiVersion: 'networking.k8s.io/v1', namespace: '', name: 'mesh' },
  make: (dice) => ({ spec: { controller: dice.pick(['istio.io/ingress-controller', 'k8s.io/ingress-nginx']) } }),
};

const ingressPath = (dice: Dice): Readonly<Record<string, unknown>> => ({
  path: dice.pick(['/', '/x', '/x/y', '/x.*']),
  pathType: dice.pick(['Exact', 'Prefix', 'ImplementationSpecific']),
  backend: {
    service: {
      name: dice.pick(services),
      port: dice.chance(0.5) ? { number: 80 } : { name: dice.pick(['http', 'tcp']) },
    },
  },
});

export const ingress = (namespace: string, name: string): Slot => ({
  ...{ kind: 'Ingress', apiVersion: 'networking.k8s.io/v1', namespace, name },
  make: (dice) => ({
    metadata: dice.chance(0.4)
      ? { annotations: { 'kubernetes.io/ingress.class': dice.pick(['istio', 'istio', 'nginx']) } }
      : {},
    spec: {
      ...(dice.chance(0.4) ? { ingressClassName: 'mesh' } : {}),
      ...(dice.chance(0.4)
        ? { tls: [{ hosts: [dice.pick(['extra.example', 'in.example'])], secretName: 'cert' }] }
        : {}),
      rules: Array.from({ length: 1 + dice.below(2) }, () => ({
        ...(dice.chance(0.8) ? { host: dice.pick(['extra.example', 'in.example', '*.example']) } : {}),
        http: { paths: Array.from({ length: 1 + dice.below(3) }, () => ingressPath(dice)) },
      })),
    },
  }),
});
