// That the Envoys of the tests start, answer and end, and that validation rejects what Envoy rejects.
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Json, startEnvoy } from './envoy.ts';
import { validateAll, validateBootstrap, validateResources } from './envoy-validate.ts';

const router = {
  name: 'envoy.filters.http.router',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
};

function listener(name: string, manager: Json): Json {
  const typedConfig = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    statPrefix: 'test',
    httpFilters: [router],
    ...manager,
  };
  return {
    '@type': 'type.googleapis.com/envoy.config.listener.v3.Listener',
    name,
    address: { socketAddress: { address: '0.0.0.0', portValue: 80 } },
    filterChains: [{ filters: [{ name: 'http', typedConfig }] }],
  };
}
const byRds = (routeConfigName: string): Json => ({ rds: { routeConfigName, configSource: { ads: {} } } });
const route = (name: string, path: Json): Json => ({
  name,
  virtualHosts: [{ name: 'all', domains: ['*'], routes: [{ match: path, route: { cluster: 'absent' } }] }],
});

test('an Envoy starts, answers and leaves nothing behind', async () => {
  const bootstrap = {
    staticResources: {
      clusters: [{ name: 'one', type: 'STATIC', loadAssignment: { clusterName: 'one' } }],
    },
  };
  let pid: number;
  {
    await using envoy = await startEnvoy({ bootstrap });
    await using other = await startEnvoy({ bootstrap, name: 'other' });
    await Promise.all([envoy.ready(), other.ready()]);
    expect((await envoy.stats('^server\\.live$')).get('server.live')).toBe(1);
    expect((await envoy.clusters()).map((cluster) => cluster['name'])).toEqual(['one']);
    expect((await envoy.configDump()).map((config) => config['@type'])).toContain(
      'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
    );
    await expect(envoy.admin('/nothing-here')).rejects.toThrow('404');
    pid = envoy.child.pid;
  }
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test('an Envoy that refuses its bootstrap fails with its message', async () => {
  await expect(startEnvoy({ bootstrap: { noSuchField: 1 } })).rejects.toThrow(/noSuchField/);
});

test('resources of every kind are accepted, and two listeners may share an address', async () => {
  const rejection = await validateResources({
    listeners: [listener('a', byRds('one')), listener('b', byRds('elsewhere'))],
    routes: [route('one', { prefix: '/' }), route('unreferenced', { prefix: '/' })],
    clusters: [{ name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' } } }],
    endpoints: [{ clusterName: 'c', endpoints: [{ lbEndpoints: [] }] }],
    secrets: [{ name: 's', tlsCertificate: {} }],
  });
  expect(rejection).toBeUndefined();
});

test('a fault in a resource of any kind is found', async () => {
  const bad = { safeRegex: { regex: '(' } };
  const rejections = await validateAll(
    new Map([
      ['listener', { listeners: [listener('a', { rds: {} })] }],
      ['referenced route', { listeners: [listener('a', byRds('r'))], routes: [route('r', bad)] }],
      ['unreferenced route', { routes: [route('r', bad)] }],
      ['cluster', { clusters: [{ name: '' }] }],
      ['assignment', { endpoints: [{ endpoints: [] }] }],
      ['secret', { secrets: [{ name: 's', noSuchField: 1 }] }],
      ['nothing wrong', { clusters: [{ name: 'c', type: 'STATIC' }] }],
    ]),
  );
  expect([...rejections.keys()].sort()).toEqual(
    ['assignment', 'cluster', 'listener', 'referenced route', 'secret', 'unreferenced route'].sort(),
  );
  expect(rejections.get('referenced route')).toContain('missing )');
});

test('a bootstrap is validated as it is', async () => {
  expect(await validateBootstrap({})).toBeUndefined();
  expect(await validateBootstrap({ staticResources: { clusters: [{}] } })).toContain('Name');
});
