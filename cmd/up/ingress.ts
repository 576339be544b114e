// The laptop mesh's way in: the ingress gateway's Service and pod, as an installer would make them, on loopback.
import { createServer } from 'node:net';
import type { Gateway } from '../../config/kinds/gateway.ts';
import type { AnyObject } from '../../config/kinds/kinds.ts';
import type { MeshConfig } from '../../config/mesh.ts';
import type { Store } from '../../config/store.ts';
import { gatewayOf, gatewaySelector, isSelected } from '../../discovery/model/ingress.ts';

/** The gateway's pod. */
export const ingress = {
  name: 'istio-ingressgateway-0',
  namespace: 'istio-system',
  serviceAccount: 'istio-ingressgateway',
  address: '127.0.1.1',
  labels: { app: 'istio-ingressgateway', istio: 'ingressgateway', 'security.istio.io/tlsMode': 'istio' },
} as const;

/** A port of a Gateway server, and the port on this machine where the proxy listens for it. */
export interface IngressPort {
  readonly number: number;
  readonly protocol: string;
  readonly listening: number;
}

/** The Gateways of the folder, with those that its Ingresses stand for. */
export function gatewaysIn(store: Pick<Store, 'get' | 'list'>, mesh: MeshConfig): readonly Gateway[] {
  const served = store.list('Ingress').filter((one) => {
    const name = one.spec?.ingressClassName;
    return isSelected(mesh, one, name === undefined ? undefined : store.get('IngressClass', `/${name}`));
  });
  const made = served.map((one) => gatewayOf(one, gatewaySelector(mesh), ingress.namespace));
  return [...store.list('Gateway'), ...made];
}

/** Port numbers and protocols of all servers of the Gateways that select the ingress gateway, each number once, sorted. */
export function wantedPorts(gateways: readonly Gateway[]): readonly Pick<IngressPort, 'number' | 'protocol'>[] {
  const found = new Map<number, string>();
  for (const gateway of gateways) {
    const selector = Object.entries(gateway.spec?.selector ?? {});
    const labels: Readonly<Record<string, string>> = ingress.labels;
    if (!selector.every(([label, value]) => labels[label] === value)) continue;
    for (const server of gateway.spec?.servers ?? []) {
      const number = server.port?.number ?? 0;
      if (number > 0 && !found.has(number)) found.set(number, server.port?.protocol ?? 'HTTP');
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([number, protocol]) => ({ number, protocol }));
}

/** Chooses listening ports: the number itself plus 8000 where it is privileged, or a free one where that is taken. */
export async function choosePorts(
  wanted: readonly Pick<IngressPort, 'number' | 'protocol'>[],
  previous: readonly IngressPort[],
): Promise<readonly IngressPort[]> {
  const chosen: IngressPort[] = [];
  for (const port of wanted) {
    const before = previous.find((p) => p.number === port.number);
    if (before !== undefined) {
      chosen.push({ ...port, listening: before.listening });
      continue;
    }
    const preferred = port.number < 1024 ? port.number + 8000 : port.number;
    const taken = chosen.some((p) => p.listening === preferred) || !(await isFree(preferred));
    chosen.push({ ...port, listening: taken ? await freePort() : preferred });
  }
  return chosen;
}

/** The gateway's Service, pod and endpoints. */
export function ingressObjects(ports: readonly IngressPort[]): readonly AnyObject[] {
  const { name, namespace, serviceAccount, address, labels } = ingress;
  const named = ports.map((port) => ({ ...port, name: `${port.protocol.toLowerCase()}-${port.number}` }));
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, namespace: '' } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'istio-ingressgateway', namespace, labels },
      spec: {
        type: 'ClusterIP',
        selector: { istio: 'ingressgateway' },
        ports: named.map((port) => ({
          name: port.name,
          port: port.number,
          targetPort: port.listening,
          protocol: 'TCP',
        })),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: { serviceAccountName: serviceAccount, containers: [{ name: 'istio-proxy' }] },
      status: {
        phase: 'Running',
        podIP: address,
        podIPs: [{ ip: address }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'istio-ingressgateway-local',
        namespace,
        labels: { 'kubernetes.io/service-name': 'istio-ingressgateway' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true }, targetRef: { kind: 'Pod', name, namespace } }],
      ports: named.map((port) => ({ name: port.name, port: port.listening, protocol: 'TCP' })),
    },
  ] as readonly AnyObject[];
}

/** A free port of this machine, on all addresses. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}
