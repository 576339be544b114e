// Tables for injection into texts: what is no workload stays as written, YAML is Kubernetes' own, all or nothing.
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { emptyCluster, testSettings } from '../test/support/webhook.ts';
import { listOf, memberAt } from './json.ts';
import { injectText } from './kube-inject.ts';

const inject = (text: string) => injectText('in.yaml', text, testSettings(), emptyCluster);

const deployment = (extra = '') => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: x
${extra}`;

describe('text', () => {
  test('that is no workload keeps its comments', () => {
    const { output } = inject(
      `# why\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a} # here\n---\n${deployment()}`,
    );
    expect(output).toContain('# why');
    expect(output).toContain('# here');
    expect(output).toContain('istio-proxy');
  });

  test('is read and written as YAML 1.1', () => {
    const extra = `        env:
        - {name: A, value: 'yes'}
        - {name: B, value: "0644"}
        - {name: C, value: "12:30:45"}
      volumes:
      - {name: v, configMap: {name: c, defaultMode: 0644}}
`;
    const output = inject(deployment(extra)).output ?? '';
    const [document] = parseAllDocuments(output, { version: '1.1', schema: 'yaml-1.1' });
    const spec: unknown = memberAt(document?.toJS(), 'spec', 'template', 'spec');
    expect(listOf(memberAt(spec, 'containers'))[0]).toMatchObject({
      env: [
        { name: 'A', value: 'yes' },
        { name: 'B', value: '0644' },
        { name: 'C', value: '12:30:45' },
      ],
    });
    expect(listOf(memberAt(spec, 'volumes')).find((v) => memberAt(v, 'name') === 'v')).toMatchObject({
      configMap: { defaultMode: 420 },
    });
  });

  test('of JSON and of lists is injected', () => {
    const item = parse(deployment());
    const { output } = inject(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [item, item] }));
    expect(output?.match(/name: istio-proxy/g)).toHaveLength(2);
  });

  test.each([
    ['apps/v1', 'DeploymentList', () => parse(deployment())],
    ['v1', 'PodList', () => ({ metadata: { name: 'a' }, spec: { containers: [{ name: 'web', image: 'x' }] } })],
  ])('of %s %s is injected, whether its items say what they are or not', (apiVersion, kind, itemOf) => {
    const { apiVersion: _, kind: __, ...bare } = itemOf();
    const { output } = inject(JSON.stringify({ apiVersion, kind, metadata: {}, items: [itemOf(), bare] }));
    expect(output?.match(/name: istio-proxy/g)).toHaveLength(2);
    const said = { apiVersion, kind: kind.replace('List', '') };
    expect(memberAt(parse(output?.split('---')[0] ?? ''), 'items')).toMatchObject([said, said]);
  });

  test('of lists without workloads stays as it was written', () => {
    const text = '# why\napiVersion: v1\nkind: ConfigMapList\nitems:\n  - metadata: { name: a }\n';
    expect(inject(text).output).toBe(`${text}---\n`);
    expect(inject('apiVersion: v1\nkind: GuestList\nitems: none\n').output).toContain('items: none');
  });

  test('with one refused workload gives nothing', () => {
    const bad = deployment().replace('labels:', 'annotations: {sidecar.istio.io/interceptionMode: X}, labels:');
    const { output, diagnostics } = inject(`${deployment()}---\n${bad}`);
    expect(output).toBeUndefined();
    expect(diagnostics[0]).toMatchObject({ object: { kind: 'Deployment', name: 'web' } });
    expect(diagnostics[0]?.message).toContain('interceptionMode');
  });

  test.each([
    ['broken YAML', 'a: [', 'yaml-syntax'],
    ['a text', '--- hello', 'not-an-object'],
    [
      'a bomb of aliases',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(10)}]\nc: &c [${'*b,'.repeat(10)}]\nd: [${'*c,'.repeat(10)}]`,
      'yaml-limit',
    ],
    [
      'a pod without a shape',
      'kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: {containers: [1]}',
      'invalid-value',
    ],
  ])('that is %s is a finding', (_name, text, code) => {
    const { output, diagnostics } = inject(text);
    expect(output).toBeUndefined();
    expect(diagnostics[0]?.code).toBe(code);
  });

  test('tells of what is left alone, in lists too', () => {
    const left = deployment().replace('labels: {', 'labels: {sidecar.istio.io/inject: "false", ');
    const text = '===> Skipping injection because Deployment "web" has sidecar injection disabled';
    expect(inject(left).warnings).toEqual([text]);
    const list = { apiVersion: 'v1', kind: 'List', items: [parse(left), parse(deployment())] };
    expect(inject(JSON.stringify(list)).warnings).toEqual([text]);
  });
});
