// Services that a Sidecar leaves out and a route behind it names: clusters for them, by Istio's choice of namespace and port.
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { query } from '../graph/graph.ts';
import { writeObjects } from '../world.ts';
import { routedServices, serviceOfHost } from './routed-services.ts';

type Raw = Parameters<typeof graphOf>[0][number];

const service = (name: string, namespace: string, exportTo = '*'): Raw & { readonly spec: object } => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace, annotations: { 'networking.istio.io/exportTo': exportTo } },
  spec: {
    clusterIP: '10.0.0.1',
    ports: [
      { name: 'http', port: 80 },
      { name: 'tcp', port: 9000 },
    ],
  },
});

const istio = (kind: string, name: string, namespace: string, spec: object): Raw & { readonly spec: object } => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace },
  spec,
});

const routes = (http: readonly object[], rest: object = {}) =>
  istio('VirtualService', 'v', 'shop', { hosts: ['web'], http, ...rest });
const to = (host: string, port?: number) => ({
  route: [{ destination: { host, ...(port === undefined ? {} : { port: { number: port } }) } }],
});
const sidecar = (...egress: readonly object[]) => istio('Sidecar', 'default', 'shop', { egress });
const own = { hosts: ['./*'] };
const far = 'far.other.svc.cluster.local';
const client = { namespace: 'shop', scope: 'shop/default' };

function routed(raws: readonly Raw[]): Readonly<Record<string, unknown>> {
  const graph = graphOf([service('web', 'shop'), ...raws], defaultMeshConfig);
  return Object.fromEntries(graph.read(routedServices, client));
}

test('a service that a route names is there with the ports that the route names', () => {
  const other = service('far', 'other');
  const key = `other/${far}`;
  expect(routed([other, sidecar(own), routes([to(far, 80)])])).toEqual({ [far]: { service: key, ports: [80] } });
  expect(routed([other, sidecar(own), routes([to(far)])])).toEqual({ [far]: { service: key } });
  expect(routed([other, sidecar(own), routes([to(far, 80), to(far, 9000)])])).toEqual({
    [far]: { service: key, ports: [80, 9000] },
  });
  const mirrored = { ...to('web'), mirror: { host: far, port: { number: 80 } } };
  expect(routed([other, sidecar(own), routes([mirrored])])).toEqual({ [far]: { service: key, ports: [80] } });
});

test('what is imported anyway, invisible, without the port or for others only is not there', () => {
  expect(routed([sidecar(own), routes([to('web', 80)])])).toEqual({});
  expect(routed([service('far', 'other', '.'), sidecar(own), routes([to(far, 80)])])).toEqual({});
  expect(routed([service('far', 'other'), sidecar(own), routes([to(far, 81)])])).toEqual({});
  const foreign = { match: [{ sourceNamespace: 'other' }], ...to(far, 80) };
  expect(routed([service('far', 'other'), sidecar(own), routes([foreign])])).toEqual({});
  expect(routed([service('far', 'other'), sidecar({ hosts: ['other2/*'] }), routes([to(far, 80)])])).toEqual({});
});

test('an egress listener with a port takes that port only', () => {
  const listener = { port: { number: 9000, protocol: 'TCP', name: 'tcp' }, hosts: ['./*'] };
  const found = routed([service('far', 'other'), sidecar(listener), routes([to(far)])]);
  expect(found).toEqual({ [far]: { service: `other/${far}`, ports: [9000] } });
});

test('without a Sidecar nothing is added, and hosts stand for what is visible', () => {
  const graph = graphOf([service('far', 'other'), service('web', 'shop'), routes([to(far)])], defaultMeshConfig);
  const view = { namespace: 'shop', scope: '' };
  expect(graph.read(routedServices, view).size).toBe(0);
  expect(graph.read(serviceOfHost, { ...view, hostname: far })).toEqual({ service: `other/${far}` });
});

test('a change that moves no request elsewhere does not even mark what rests on them', () => {
  const canary = (exact: string, port: number) => ({ ...to(far, port), match: [{ headers: { canary: { exact } } }] });
  const watched = query('watched', (read, key: typeof client) => read(routedServices, key), { output: true });
  const graph = graphOf(
    [service('web', 'shop'), service('far', 'other'), sidecar(own), routes([canary('no', 80)])],
    defaultMeshConfig,
  );
  graph.hold(watched, client);
  const marksAfter = (http: object): number => {
    graph.read(watched, client);
    graph.takeMarked();
    writeObjects(
      graph,
      [changeOf(routes([http]))].filter((change) => change !== undefined),
    );
    return graph.takeMarked().length;
  };
  expect(marksAfter({ ...canary('yes', 80), timeout: '3s' })).toBe(0);
  expect(marksAfter(canary('yes', 9000))).toBe(1);
});
