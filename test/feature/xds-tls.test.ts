// The TLS port: server certificates that change under open connections, client certificates that are optional.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import { proxies } from '../../discovery/proxy/classify.ts';
import type { CallerFacts } from '../../discovery/xds/caller.ts';
import { createXdsServer, type XdsServer } from '../../discovery/xds/server.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { openssl } from '../support/openssl.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { fakeClassOf, fakeGraph, fakeTranslators } from '../support/xds/fake-mesh.ts';
import { connect, type GrpcConnection } from '../support/xds/grpc-client.ts';

interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

function selfSigned(name: string): Certificate {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},DNS:localhost`];
  const cert = openssl(['req', '-x509', '-key', 'key.pem', '-days', '2', ...subject], { 'key.pem': key });
  return { key: Buffer.from(key), cert: Buffer.from(cert) };
}

describe('the TLS port', () => {
  const servers: XdsServer[] = [];
  const connections: GrpcConnection[] = [];
  afterEach(async () => {
    for (const connection of connections.splice(0)) connection.close();
    for (const server of servers.splice(0)) await server.close();
  });

  test('asks for client certificates, passes on verified ones only, and follows a new server certificate', async () => {
    const [one, two, known, stranger] = ['one', 'two', 'known', 'stranger'].map(selfSigned) as [
      Certificate,
      Certificate,
      Certificate,
      Certificate,
    ];
    const seen: CallerFacts[] = [];
    const server = createXdsServer({
      graph: fakeGraph(),
      translators: fakeTranslators(),
      proxies,
      classOf: fakeClassOf,
      authenticate: async (facts) => {
        seen.push(facts);
        return { kind: 'anonymous' };
      },
    });
    servers.push(server);
    let present = one;
    const listeners = new Set<() => void>();
    const { port } = await server.listen({
      address: '127.0.0.1:0',
      tls: {
        current: () => ({ cert: present.cert, key: present.key, ca: known.cert }),
        onChange: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    });
    const reach = async (root: Certificate, client?: Certificate): Promise<GrpcConnection> => {
      const credentials = grpc.credentials.createSsl(root.cert, client?.key, client?.cert);
      const connection = connect(`localhost:${port}`, credentials);
      connections.push(connection);
      await ask(connection);
      return connection;
    };
    const ask = async (connection: GrpcConnection): Promise<void> => {
      const stream = connection.open('delta');
      stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster });
      const outcome = await Promise.race([stream.next(() => true), stream.status]);
      if ('code' in outcome) throw new Error(outcome.details);
    };
    const early = await reach(one);
    expect(seen.at(-1)).toMatchObject({ tls: true });
    expect(seen.at(-1)?.clientCertificate).toBeUndefined();
    await reach(one, known);
    const der = seen.at(-1)?.clientCertificate;
    expect(new X509Certificate(Buffer.from(der ?? [])).subject).toBe('CN=known');
    await reach(one, stranger);
    expect(seen.at(-1)?.clientCertificate).toBeUndefined();
    present = two;
    for (const listener of listeners) listener();
    await reach(two);
    await expect(reach(one)).rejects.toThrow();
    // A connection that is open stays so.
    await ask(early);
  });
});
