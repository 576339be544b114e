// Settings and pods for tests of the webhooks.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { policyOf } from '../../webhook/config-map.ts';
import type { ClusterView, InjectionSettings } from '../../webhook/context.ts';
import { meshSettingsOf } from '../../webhook/mesh-settings.ts';
import type { Pod } from '../../webhook/pod.ts';
import { valuesOf } from '../../webhook/values.ts';

/** Settings by the defaults of Istio's chart, with these values and this mesh config. */
export function testSettings(
  values: unknown = {},
  mesh: unknown = {},
  change: Partial<InjectionSettings> = {},
): InjectionSettings {
  const { defaultTemplates, templateAliases, injectedAnnotations, ...policy } = policyOf({}, values);
  const read = meshSettingsOf([mesh]);
  if ('problem' in read) throw new Error(read.problem);
  return {
    policy,
    defaultTemplates,
    templateAliases,
    injectedAnnotations,
    values: valuesOf(values),
    mesh: read.settings,
    revision: 'default',
    nativeSidecars: 'disabled',
    compliancePolicy: '',
    openShift: false,
    ...change,
  };
}

/** A cluster of which nothing is known. */
export const emptyCluster: ClusterView = {
  kubeletVersions: () => [],
  namespaceAnnotations: () => undefined,
  proxyConfigs: () => [],
};

/** A small pod with these annotations and labels. */
export function testPod(annotations: Record<string, string> = {}, labels: Record<string, string> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', annotations, labels: { app: 'web', ...labels } },
    spec: {
      containers: [
        {
          name: 'web',
          image: 'registry.example.com/web:1',
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
        },
      ],
    },
  };
}

/** A self-signed certificate for names and addresses, made by openssl. */
export function selfSigned(...names: readonly string[]): { readonly cert: string; readonly key: string } {
  const dir = mkdtempSync(join(tmpdir(), 'webhook-'));
  try {
    const subject = [
      '-subj',
      `/CN=${names[0]}`,
      '-addext',
      `subjectAltName=${names.map((name) => (isIP(name) === 0 ? `DNS:${name}` : `IP:${name}`)).join(',')}`,
    ];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'k', '-out', 'c'];
    execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...subject], { cwd: dir, stdio: 'ignore' });
    return { cert: readFileSync(join(dir, 'c'), 'utf8'), key: readFileSync(join(dir, 'k'), 'utf8') };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
