// Which servers of a proxy's Gateways share a port, and which give way to others.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { type Raw, raw } from '../../test/support/cluster-world.ts';
import { graphOf } from '../../test/support/world.ts';
import { mergedGateways } from './gateways.ts';

interface Server {
  readonly protocol: string;
  readonly hosts: readonly string[];
  readonly tls?: object;
  readonly bind?: string;
}

const https = (...hosts: readonly string[]): Server => ({
  protocol: 'HTTPS',
  hosts,
  tls: { mode: 'SIMPLE', credentialName: 'x' },
});
const http = (...hosts: readonly string[]): Server => ({ protocol: 'HTTP', hosts });
const tcp = (...hosts: readonly string[]): Server => ({ protocol: 'TCP', hosts });
const at = (bind: string, server: Server): Server => ({ ...server, bind });

/** Gateways by name, the oldest first; all their servers have port 443. */
function merged(gateways: Readonly<Record<string, readonly Server[]>>): readonly string[] {
  const objects = Object.entries(gateways).map(
    ([name, servers], age): Raw =>
      raw(
        'networking.istio.io/v1',
        'Gateway',
        name,
        {
          servers: servers.map(({ protocol, ...server }, index) => ({
            port: { number: 443, name: `p${index}`, protocol },
            ...server,
          })),
        },
        { metadata: { creationTimestamp: `2026-01-01T00:00:0${age}Z` } },
      ),
  );
  return graphOf(objects, defaultMeshConfig)
    .read(mergedGateways, { namespace: 'default', labels: {}, targets: [] })
    .map(({ protocol, bind, servers }) => {
      const hosts = servers.map(({ gateway, hosts }) => `${gateway.replace('default/', '')}=${hosts.join()}`);
      return `${protocol}${bind === '' ? '' : `@${bind}`} ${hosts.join(' ')}`;
    });
}

describe('servers of one port', () => {
  test.each<[what: string, gateways: Readonly<Record<string, readonly Server[]>>, expected: readonly string[]]>([
    ['of HTTPS share it by their hosts', { a: [https('x')], b: [https('y')] }, ['https a=x b=y']],
    ['of HTTP share it', { a: [http('x')], b: [http('y')] }, ['http a=x b=y']],
    ['of TCP do not: nothing tells them apart', { a: [tcp('*')], b: [tcp('*')] }, ['tcp a=*']],
    ['of plain text keep TLS out', { a: [tcp('*')], b: [https('y')] }, ['tcp a=*']],
    ['of TLS take one of plain text', { a: [https('x'), tcp('x')] }, ['https a=x', 'tcp a=x']],
    [
      'keep TLS out from the moment that plain text has joined',
      { a: [https('x'), tcp('x')], b: [https('y'), tcp('y')] },
      ['https a=x', 'tcp a=x'],
    ],
    [
      'take more HTTP once HTTP has joined',
      { a: [https('x'), http('x')], b: [https('y'), http('y')] },
      ['https a=x', 'http a=x b=y'],
    ],
    [
      'do not disturb each other at addresses of their own',
      {
        a: [at('10.0.0.1', https('x')), at('10.0.0.2', tcp('x'))],
        b: [at('10.0.0.1', https('y')), at('10.0.0.3', http('y'))],
      },
      ['https@10.0.0.1 a=x b=y', 'tcp@10.0.0.2 a=x', 'http@10.0.0.3 b=y'],
    ],
    [
      'claim no hosts where they are left out',
      { a: [https('x')], b: [https('x', 'y')], c: [https('y')] },
      ['https a=x c=y'],
    ],
  ])('%s', (_what, gateways, expected) => {
    expect(merged(gateways)).toEqual(expected);
  });
});
