// A worker that plays many xDS clients for the benchmark: it counts bytes and tells when every stream has got a round.
import { parentPort, workerData } from 'node:worker_threads';
import * as grpc from '@grpc/grpc-js';
import { discoveryService } from '../../discovery/xds/server.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { deltaRequest, readDelta, sidecarNode } from '../support/xds/client.ts';

const { address, streams, connections } = workerData as {
  readonly address: string;
  readonly streams: number;
  readonly connections: number;
};
const asIs = (bytes: Buffer): Buffer => bytes;
const path = discoveryService['DeltaAggregatedResources']?.path ?? '';
const channels = Array.from(
  { length: connections },
  () =>
    new grpc.Client(address, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    }),
);
let got = 0;
for (let i = 0; i < streams; i++) {
  const call = (channels[i % connections] as grpc.Client).makeBidiStreamRequest(path, asIs, asIs);
  let first = true;
  call.on('data', (bytes: Buffer) => {
    if (first) {
      const { nonce } = readDelta(bytes);
      call.write(deltaRequest({ typeUrl: typeUrls.cluster, responseNonce: nonce }));
      first = false;
    }
    if (++got % streams === 0) parentPort?.postMessage(got / streams);
  });
  call.on('error', () => {});
  call.write(deltaRequest({ node: sidecarNode(`app-${i}`), typeUrl: typeUrls.cluster }));
}
