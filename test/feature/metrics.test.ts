// Metrics at /metrics by istiod's names: gRPC calls as they begin and end, times of publishing, and no zero without a sense.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateServiceDefinition } from '../../certs/service.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { waitFor } from '../support/wait.ts';
import { deltaRequest, sidecarNode } from '../support/xds/client.ts';
import { connect, openDeaf } from '../support/xds/grpc-client.ts';

let folder: string;
let plane: TestDiscovery;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrics-'));
  const flags = ['--stateDir', join(folder, 'state')];
  plane = await startDiscovery({ configFolder: folder, flags });
}, 60_000);
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Values by name and labels, of lines that begin so. */
async function lines(start: string): Promise<Readonly<Record<string, number>>> {
  const all = (await plane.get('/metrics')).split('\n').filter((line) => line.startsWith(start));
  return Object.fromEntries(
    all.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

const ads = (method: string) =>
  `{grpc_type="bidi_stream",grpc_service="envoy.service.discovery.v3.AggregatedDiscoveryService",grpc_method="${method}"`;
const delta = ads('DeltaAggregatedResources');
const sotw = ads('StreamAggregatedResources');

test('a stream counts when it begins, by its messages, and by its end', async () => {
  expect(await lines('grpc_server_started_total')).toEqual({});
  const connection = connect(`127.0.0.1:${plane.ports.grpc}`);
  const stream = connection.open('delta');
  stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
  const { nonce } = await stream.next(() => true);
  stream.delta({ typeUrl: typeUrls.cluster, responseNonce: nonce });
  await waitFor(
    'both requests',
    async () => (await lines('grpc_server_msg_received'))[`grpc_server_msg_received_total${delta}}`] === 2,
  );
  expect(await lines('grpc_server_started_total')).toEqual({ [`grpc_server_started_total${delta}}`]: 1 });
  expect(await lines('grpc_server_msg_sent_total')).toEqual({ [`grpc_server_msg_sent_total${delta}}`]: 1 });
  expect(await lines('grpc_server_handled_total')).toEqual({});
  stream.end();
  await stream.status;
  await waitFor('its end', async () => Object.keys(await lines('grpc_server_handled_total')).length > 0);
  expect(await lines('grpc_server_handled_total')).toEqual({
    [`grpc_server_handled_total${delta},grpc_code="OK"}`]: 1,
  });
  expect(await lines('grpc_server_handling_seconds_count')).toEqual({
    [`grpc_server_handling_seconds_count${delta}}`]: 1,
  });

  connection.close();

  // One whose client is gone, and one that is refused for what it says.
  const dropped = openDeaf(
    `127.0.0.1:${plane.ports.grpc}`,
    deltaRequest({ node: sidecarNode('b'), typeUrl: typeUrls.cluster }),
  );
  await waitFor(
    'it',
    async () => (await lines('grpc_server_started_total'))[`grpc_server_started_total${delta}}`] === 2,
  );
  dropped.close();
  const other = connect(`127.0.0.1:${plane.ports.grpc}`);
  const third = other.open('sotw');
  third.sotw({ typeUrl: typeUrls.listener });
  expect((await third.status).code).toBe(grpc.status.INVALID_ARGUMENT);
  other.close();
  await waitFor('both ends', async () => {
    const ended = await lines('grpc_server_handled_total');
    return (
      ended[`grpc_server_handled_total${delta},grpc_code="Canceled"}`] === 1 &&
      ended[`grpc_server_handled_total${sotw},grpc_code="InvalidArgument"}`] === 1
    );
  });
});

test('calls of the certificate service count with their status', async () => {
  const tls = grpc.credentials.createSsl(null, null, null, {
    checkServerIdentity: () => undefined,
    rejectUnauthorized: false,
  });
  const client = new grpc.Client(`localhost:${plane.ports.secureGrpc}`, tls);
  const { path, requestSerialize, responseDeserialize } = certificateServiceDefinition.createCertificate;
  const call = { $typeName: 'istio.v1.auth.IstioCertificateRequest', csr: 'x', validityDuration: 0n } as const;
  const error = await new Promise<grpc.ServiceError | null>((resolve) =>
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, call, (failure) => resolve(failure)),
  );
  expect(error?.code).toBe(grpc.status.UNAUTHENTICATED);
  client.close();
  const labels =
    '{grpc_type="unary",grpc_service="istio.v1.auth.IstioCertificateService",grpc_method="CreateCertificate"';
  expect(await lines(`grpc_server_handled_total${labels}`)).toEqual({
    [`grpc_server_handled_total${labels},grpc_code="Unauthenticated"}`]: 1,
  });
});

test('changes are timed, and conflicts among objects counted', async () => {
  const before = await lines('pilot_debounce_time_count');
  const text = ['a', 'b']
    .map(
      (name) =>
        `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name} }\n` +
        'spec: { hosts: [x.example.com], http: [{ directResponse: { status: 404 } }] }\n',
    )
    .join('---\n');
  await writeFile(join(folder, 'routes.yaml'), text);
  await waitFor(
    'the conflict',
    async () => (await lines('pilot_vservice_dup_domain'))['pilot_vservice_dup_domain'] === 1,
  );
  const after = await lines('pilot_debounce_time_count');
  expect(after['pilot_debounce_time_count']).toBeGreaterThan(before['pilot_debounce_time_count'] ?? 0);
  expect((await lines('pilot_pushcontext_init_seconds_count'))['pilot_pushcontext_init_seconds_count']).toBeGreaterThan(
    0,
  );
  expect(await lines('meltemi_revocation_lists')).toEqual({});
});
