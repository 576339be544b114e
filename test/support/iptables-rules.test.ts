// The imitation of istio-iptables honours every argument that injection can give, or says that it cannot.
import { expect, test } from 'vitest';
import { injectPod } from '../../webhook/inject.ts';
import { containerOf, initName } from '../../webhook/pod.ts';
import { captureRules, usualArguments } from './iptables-rules.ts';
import { emptyCluster, testPod, testSettings } from './webhook.ts';

/** The arguments that a pod with these annotations gets. */
function injected(annotations: Record<string, string>): readonly string[] {
  const workload = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'shop' };
  const request = { pod: testPod(annotations), workload, namespace: 'shop', proxyEnv: {} };
  const result = injectPod(request, testSettings(), emptyCluster);
  if (result.kind === 'refused') throw new Error(result.problems.join('; '));
  return containerOf(initName, result.pod.spec?.initContainers)?.args ?? [];
}

const rules = (annotations: Record<string, string>) => captureRules(injected(annotations)).split('\n');
const traffic = (name: string, value: string) => ({ [`traffic.sidecar.istio.io/${name}`]: value });

test('a pod that says nothing has the usual arguments', () => {
  expect(captureRules(injected({}))).toBe(captureRules(usualArguments));
});

test.each<[string, string, readonly string[], readonly string[]]>([
  [
    'includeOutboundIPRanges',
    '10.1.0.0/16',
    ['-A ISTIO_OUTPUT -d 10.1.0.0/16 -j ISTIO_REDIRECT'],
    ['-A ISTIO_OUTPUT -j ISTIO_REDIRECT'],
  ],
  ['excludeOutboundIPRanges', '10.2.0.0/16', ['-A ISTIO_OUTPUT -d 10.2.0.0/16 -j RETURN'], []],
  [
    'includeInboundPorts',
    '80',
    ['-A ISTIO_INBOUND -p tcp --dport 80 -j ISTIO_IN_REDIRECT'],
    ['-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT'],
  ],
  ['excludeInboundPorts', '81', ['-A ISTIO_INBOUND -p tcp --dport 81 -j RETURN'], []],
  ['includeOutboundPorts', '82', ['-A ISTIO_OUTPUT -p tcp --dport 82 -j ISTIO_REDIRECT'], []],
  ['excludeOutboundPorts', '83', ['-A ISTIO_OUTPUT -p tcp --dport 83 -j RETURN'], []],
  ['excludeInterfaces', 'eth1', ['-A PREROUTING -i eth1 -j RETURN', '-A OUTPUT -o eth1 -j RETURN'], []],
])('%s: %s', (name, value, present, absent) => {
  const have = rules(traffic(name, value));
  expect(have).toEqual(expect.arrayContaining([...present]));
  for (const rule of absent) expect(have).not.toContain(rule);
});

test.each([
  [{ 'sidecar.istio.io/interceptionMode': 'TPROXY' }, 'mode TPROXY is not imitated'],
  [{ 'istio.io/reroute-virtual-interfaces': 'net1' }, '-k is not imitated'],
  [traffic('excludeOutboundIPRanges', 'fd00::/8'), '-x fd00::/8 is not imitated'],
])('%j is refused', (annotations, message) => {
  expect(() => rules(annotations)).toThrow(message);
});
