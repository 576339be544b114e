// The plain Envoy of an injected pod: a real Envoy takes its bootstrap, and answers the kubelet for the application.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { injectPod } from '../../webhook/inject.ts';
import { type Container, containerOf, type Pod } from '../../webhook/pod.ts';
import type { Json } from '../support/envoy.ts';
import { startEnvoy, type TestEnvoy } from '../support/envoy.ts';
import { validateBootstrap } from '../support/envoy-validate.ts';
import { mountFiles } from '../support/injected-files.ts';
import { freePort } from '../support/ports.ts';
import { emptyCluster, testPod, testSettings } from '../support/webhook.ts';

/** The pod after injection, and the proxy's container of it. */
function injected(pod: Pod): { readonly pod: Pod; readonly proxy: Container } {
  const workload = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop' };
  const result = injectPod({ pod, workload, namespace: 'shop', proxyEnv: {} }, testSettings(), emptyCluster);
  const proxy = result.kind === 'injected' ? containerOf('istio-proxy', result.pod.spec?.containers) : undefined;
  if (result.kind !== 'injected' || proxy === undefined) throw new Error('the pod has no proxy');
  return { pod: result.pod, proxy };
}

/** The bootstrap in a container's arguments after the kubelet's expansion of variables. */
function bootstrapOf(container: Container): Record<string, Json> {
  const values: Readonly<Record<string, string>> = {
    INSTANCE_IP: '10.0.0.9',
    INSTANCE_IPS: '10.0.0.9,fd00::9',
    POD_NAME: 'web-1',
    POD_NAMESPACE: 'shop',
    SERVICE_ACCOUNT: 'web',
    NODE_NAME: 'n1',
  };
  const args = container.args ?? [];
  const text = (args[args.indexOf('--config-yaml') + 1] ?? '').replace(
    /\$\$|\$\(([A-Z_]+)\)/g,
    (match, name: string | undefined) => (name === undefined ? '$' : (values[name] ?? match)),
  );
  return JSON.parse(text);
}

const probe = (name: string, handler: Record<string, unknown>) => ({ [name]: handler });

const dualStack = { 'proxy.istio.io/config': 'proxyMetadata: {ISTIO_DUAL_STACK: "true"}' };

describe.each([
  ['sidecar', {}],
  ['sidecar', dualStack],
  ['gateway', {}],
  ['waypoint', {}],
])('the bootstrap of a %s with %j', (template, dual) => {
  test('is one that Envoy takes, with late values in place', async () => {
    const annotations = { 'meltemi.io/proxy': 'envoy', 'inject.istio.io/templates': template, ...dual };
    const pod = testPod(annotations, { evil: '$(POD_NAME)$' });
    const container = {
      name: 'web',
      image: 'x',
      ...probe('readinessProbe', { httpGet: { path: '/r?x=1', port: 1, scheme: 'HTTPS' } }),
      ...probe('livenessProbe', { tcpSocket: { port: 2 } }),
      ...probe('startupProbe', { grpc: { port: 3, service: 's' }, timeoutSeconds: 4 }),
      lifecycle: { preStop: { httpGet: { path: '/bye', port: 1 } } },
    };
    const { pod: meshed, proxy } = injected({ ...pod, spec: { containers: [container] } });
    const bootstrap = bootstrapOf(proxy);
    expect(JSON.stringify(bootstrap['node'])).toContain('"evil":"$(POD_NAME)$"');
    expect(JSON.stringify(bootstrap['node'])).toContain('10.0.0.9~web-1.shop~shop.svc.cluster.local');
    expect(JSON.stringify(bootstrap)).toContain('/app-lifecycle/web/prestopz');
    const folder = await mkdtemp(join(tmpdir(), 'injected-'));
    const configMaps = { 'istio-ca-root-cert': { 'root-cert.pem': '' } };
    const moved = await mountFiles(meshed, proxy, folder, { configMaps, token: '' });
    expect(await validateBootstrap(JSON.parse(moved(JSON.stringify(bootstrap))))).toBeUndefined();
    await rm(folder, { recursive: true });
  });
});

describe('calls of the kubelet', () => {
  let application: Server;
  let envoy: TestEnvoy;
  let probePort: number;
  const seen: string[] = [];
  const tcp = createTcpServer();
  const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

  beforeAll(async () => {
    application = createServer((request, response) => {
      seen.push(`${request.url} ${request.headers['x-probe'] ?? ''}`);
      response.statusCode = request.url === '/sick' ? 500 : 200;
      response.end();
    });
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    probePort = await freePort();
    const http = (path: string, target: string) => ({
      path,
      port: portOf(application),
      timeoutSeconds: 1,
      call: { kind: 'http', path: target, tls: false } as const,
    });
    const { dynamic_resources: _, ...bootstrap } = buildBootstrap({
      nodeType: 'sidecar',
      address: '10.0.0.9',
      podName: 'web-1',
      namespace: 'shop',
      serviceAccount: 'web',
      labels: {},
      discovery: { address: 'localhost:15010' },
      admin: { address: '127.0.0.1', port: 15000 },
      probes: {
        bind: { address: '127.0.0.1', port: probePort },
        calls: [
          http('/app-health/web/readyz', '/ready?deep=1'),
          http('/app-health/web/livez', '/sick'),
          { path: '/app-health/db/livez', port: portOf(tcp), timeoutSeconds: 1, call: { kind: 'tcp' } },
        ],
      },
    });
    envoy = await startEnvoy({ bootstrap });
    await envoy.ready();
  });

  afterAll(async () => {
    await envoy?.stop();
    application?.close();
    tcp.close();
  });

  const call = async (path: string) =>
    (await fetch(`http://127.0.0.1:${probePort}${path}`, { headers: { 'x-probe': 'kube' } })).status;

  test('reach the application under its own path, with their headers', async () => {
    expect(await call('/app-health/web/readyz')).toBe(200);
    expect(seen).toContain('/ready?deep=1 kube');
    expect(await call('/app-health/web/livez')).toBe(500);
  });

  test('reach nothing else', async () => {
    expect(await call('/ready')).toBe(404);
    expect(await call('/app-health/web/readyz/../../../admin')).toBe(404);
  });

  test('for a port say whether it accepts connections', async () => {
    await expect.poll(() => call('/app-health/db/livez'), { timeout: 10_000 }).toBe(200);
    tcp.close();
    await expect.poll(() => call('/app-health/db/livez'), { timeout: 10_000 }).toBe(503);
  });
});
