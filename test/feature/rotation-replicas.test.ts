// A root rotation over two replicas on a real API server: lagging proxies of either stop it, kill -9 does not, and all keep trusting all.
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../support/child.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer, tokenIssuer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import {
  holderOf,
  leastPrivilege,
  podToken,
  replica,
  rootCertificate,
  systemNamespace,
} from '../support/kubernetes-plane.ts';
import { SecretProxy } from '../support/secret-proxy.ts';
import { sleep, waitFor } from '../support/wait.ts';

const names = ['istiod-1', 'istiod-2'] as const;
type Name = (typeof names)[number];
/** Short, so that a dead replica is soon one; what counts is their relation. */
const environment = { ROOT_ROTATION_STEP: '2s', LEASE_DURATION: '3s', ISTIOD_CUSTOM_HOST: 'localhost' };
/** Longer than a step, a poll and a lease take. */
const patienceMs = 5_000;

let server: TestApiServer;
let kubeconfig: string;
let operator: string;
let planes: Record<Name, TestDiscovery>;
const proxies: (SecretProxy & { readonly home: Name })[] = [];
const objections = new Set<string>();
let judging: NodeJS.Timeout;

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  operator = await operatorKubeconfig();
  planes = { 'istiod-1': await startPlane('istiod-1'), 'istiod-2': await startPlane('istiod-2') };
  await server.client.applyAll([serviceAccount('default', 'web')]);
  for (const name of ['a', 'b']) proxies.push(await startProxy(name, 'istiod-1'));
  for (const name of ['c', 'd']) proxies.push(await startProxy(name, 'istiod-2'));
  proxies.push(await startProxy('agent', 'istiod-1', true));
  await proxy('agent').renew(address('istiod-2'));
  await waitFor('certificates', () => proxies.every(({ certificate, roots }) => certificate && roots.length === 1));
  judging = setInterval(() => {
    for (const said of proxies.flatMap((one) => proxies.map((other) => one.objection(other))))
      if (said !== undefined) objections.add(said);
  }, 20);
}, 300_000);
afterAll(async () => {
  clearInterval(judging);
  for (const one of proxies) await one[Symbol.asyncDispose]();
  for (const plane of Object.values(planes ?? {})) await plane[Symbol.asyncDispose]();
  await server?.stop();
});

const serviceAccount = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace },
});

/** The rights that SECURITY.md names for whoever rotates, and no others. */
async function operatorKubeconfig(): Promise<string> {
  const metadata = { name: 'root-operator', namespace: systemNamespace };
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' };
  const rules = [
    { apiGroups: [''], resources: ['secrets'], resourceNames: ['istio-ca-secret'], verbs: ['get', 'update'] },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['istiod-replicas'], verbs: ['get'] },
  ];
  await server.client.applyAll([
    serviceAccount(systemNamespace, 'root-operator'),
    { ...rbac, kind: 'Role', metadata, rules },
    {
      ...{ ...rbac, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
  ]);
  const token = await server.client.createToken({
    ...metadata,
    serviceAccount: metadata.name,
    audiences: [tokenIssuer],
  });
  const file = join(dirname(server.kubeconfig), 'kubeconfig-operator');
  await server.writeKubeconfig(file, token);
  return file;
}

function startPlane(name: Name, ports?: TestDiscovery['ports']): Promise<TestDiscovery> {
  return replica(kubeconfig, name, { environment, ...(ports && { ports }) });
}

const address = (name: Name): string => `localhost:${planes[name].ports.secureGrpc}`;

/** A proxy that goes back to its replica while that runs, else to the other, as through a Service. */
async function startProxy(name: string, home: Name, agent = false): Promise<(typeof proxies)[number]> {
  const token = await podToken(server.client, name);
  const roots = await rootCertificate(server.client, 'default');
  const nearest = () => (planes[home].child.running ? home : otherThan(home));
  const started = new SecretProxy({ name, token, roots, agent, address: () => address(nearest()) });
  return Object.assign(started, { home });
}

/** One that shall not take the next secret of that name. */
function stickOneOf(home: Name, secret: 'default' | 'ROOTCA'): void {
  const found = proxies.find((each) => each.home === home && each.name !== 'agent');
  if (found !== undefined) found.stuckAt = secret;
}

function proxy(name: string): SecretProxy {
  const found = proxies.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no proxy ${name}`);
  return found;
}

function otherThan(name: Name): Name {
  return name === 'istiod-1' ? 'istiod-2' : 'istiod-1';
}

async function root(...args: readonly string[]): Promise<string> {
  const main = join(import.meta.dirname, '../../cmd/main.ts');
  const command = ['root', ...args, '--kubeconfig', operator, '-n', systemNamespace];
  const { code, stdout, stderr } = await run(process.execPath, [main, ...command]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const step = async (): Promise<string> => /Rotation: (\S+)/.exec(await root())?.[1] ?? '';

async function leader(): Promise<Name> {
  return waitFor('a leader', async () => {
    const holder = (await holderOf(server.client, 'istiod-root-rotation')) as Name | undefined;
    return holder !== undefined && planes[holder]?.child.running === true && holder;
  });
}

/** Waits for a step while the agent renews its certificate, each time at the other replica. */
async function reach(wanted: string): Promise<void> {
  const detail = async () =>
    `${await root()}\n${names.map((name) => planes[name].child.output().slice(-1500)).join('\n')}`;
  let turn = 0;
  const isThere = async (): Promise<boolean> => {
    const running = names.filter((name) => planes[name].child.running);
    await proxy('agent').renew(address(running[turn++ % running.length] as Name));
    await sleep(1_000);
    return (await step()) === wanted;
  };
  await waitFor(wanted, isThere, { timeoutMs: 60_000, detail });
}

test('a rotation passes its steps over lagging proxies, a hold, and kill -9 of the leader in each step', async () => {
  expect(await step()).toBe('steady');
  const [old] = proxy('a').roots;
  for (const [current, next, secret] of [
    ['trust-both', 'sign-new', 'ROOTCA'],
    ['sign-new', 'steady', 'default'],
  ] as const) {
    const leading = await leader();
    const other = otherThan(leading);
    if (current === 'trust-both') {
      stickOneOf(other, secret);
      expect(await root('rotate')).toContain('trust-both');
    }
    const [laggard] = proxies.filter(({ stuckAt }) => stuckAt !== undefined);
    expect(laggard?.connectedTo).toBe(address(other));
    // Nobody else lags: the agent has its certificate of this step, by the other replica or its own.
    const lagsAlone = new RegExp(`replica ${other}: waits for 1 of its proxies: .*~${laggard?.name}\\.`);
    const isNamed = async (): Promise<boolean> => {
      await proxy('agent').renew(address(other));
      const shown = await root();
      return lagsAlone.test(shown) && shown.includes(`replica ${leading}: every connected proxy is ready`);
    };
    await waitFor('the one laggard to be named', isNamed, { detail: () => root(), intervalMs: 1_000 });
    await sleep(patienceMs);
    expect(await step()).toBe(current);

    // The leader dies. His proxies come to the other, who leads when the Lease has run out.
    const { ports } = planes[leading];
    await planes[leading].child.kill();
    await waitFor('another leader', async () => (await leader()) === other);
    await sleep(patienceMs);
    expect(await step()).toBe(current);

    // He comes back as another process, and his proxies to him; on hold nothing moves.
    planes[leading] = await startPlane(leading, ports);
    for (const each of proxies) if (each.home === leading) each.cut();
    await waitFor('them to come back', () => proxies.every((each) => each.connectedTo === address(each.home)), {
      detail: () => proxies.map((each) => `${each.name} ${each.home} ${each.connectedTo}`).join('\n'),
    });
    expect(await root('hold')).toContain('On hold');
    if (laggard !== undefined) laggard.stuckAt = undefined;
    await proxy('agent').renew(address(other));
    await sleep(patienceMs);
    expect(await step()).toBe(current);
    if (next === 'sign-new') stickOneOf(otherThan(await leader()), 'default');
    await root('resume');
    await reach(next);
  }
  const haveOneRoot = async (): Promise<boolean> => {
    await proxy('agent').renew(address('istiod-1'));
    return proxies.every(({ roots }) => roots.length === 1);
  };
  await waitFor('the old root to be forgotten', haveOneRoot, { intervalMs: 500 });
  for (const { name, roots, certificate } of proxies) {
    expect([name, certificate?.issuer]).toEqual([name, roots[0]?.subject]);
    expect([name, roots[0]?.subject]).not.toEqual([name, old?.subject]);
  }
  expect([...objections]).toEqual([]);
  for (const name of names) expect(planes[name].child.output()).not.toMatch(/forbidden/i);
}, 240_000);
