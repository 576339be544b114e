// xDS clients over real gRPC for tests: many streams, counted bytes, and all the ways to behave badly.
import * as http2 from 'node:http2';
import { isIP } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { parseHostPort } from '../../../config/host-port.ts';
import { discoveryService } from '../../../discovery/xds/server.ts';
import { deltaRequest, type Received, readDelta, readSotw, sotwRequest } from './client.ts';

/** One open stream. */
export interface GrpcStream {
  readonly received: Received[];
  /** Status with which the stream ended. */
  readonly status: Promise<{ readonly code: number; readonly details: string }>;
  readonly delta: (init: Parameters<typeof deltaRequest>[0]) => void;
  readonly sotw: (init: Parameters<typeof sotwRequest>[0]) => void;
  readonly raw: (bytes: Buffer) => void;
  /** Stops or goes on reading. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Resolves with the next message that fulfils the condition, received or to come. */
  readonly next: (condition: (message: Received) => boolean) => Promise<Received>;
  readonly end: () => void;
}

/** A connection to the server; each has its own socket. */
export interface GrpcConnection {
  readonly open: (variant: 'delta' | 'sotw', headers?: Readonly<Record<string, string>>) => GrpcStream;
  readonly close: () => void;
}

/** Connects to `host:port`. */
export function connect(address: string, credentials = grpc.credentials.createInsecure()): GrpcConnection {
  const client = new grpc.Client(address, credentials, {
    'grpc.max_receive_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    // Node refuses an address as the name of a TLS server.
    ...(isIP(parseHostPort(address)?.host ?? '') === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  });
  return {
    open: (variant, headers = {}) => openStream(client, variant, headers),
    close: () => client.close(),
  };
}

function openStream(
  client: grpc.Client,
  variant: 'delta' | 'sotw',
  headers: Readonly<Record<string, string>>,
): GrpcStream {
  const method = discoveryService[variant === 'delta' ? 'DeltaAggregatedResources' : 'StreamAggregatedResources'];
  if (method === undefined) throw new Error('no such method');
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const asIs = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(method.path, asIs, asIs, metadata);
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  call.on('data', (bytes: Buffer) => {
    received.push(variant === 'delta' ? readDelta(bytes) : readSotw(bytes));
    for (const check of waiting) check();
  });
  const status = new Promise<{ code: number; details: string }>((resolve) => {
    call.on('status', ({ code, details }) => resolve({ code, details }));
  });
  call.on('error', () => {});
  return {
    received,
    status,
    delta: (init) => call.write(deltaRequest(init)),
    sotw: (init) => call.write(sotwRequest(init)),
    raw: (bytes) => call.write(bytes),
    pause: () => call.pause(),
    resume: () => call.resume(),
    next: (condition) =>
      new Promise((resolve) => {
        const check = (): void => {
          const found = received.find(condition);
          if (found === undefined) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        check();
      }),
    end: () => call.end(),
  };
}

/** Opens a stream, sends one delta request, and never reads what comes. `ended` resolves with the HTTP/2 error code. */
export function openDeaf(
  address: string,
  request: Buffer,
): { readonly ended: Promise<number>; readonly close: () => void } {
  const session = http2.connect(`http://${address}`);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': discoveryService['DeltaAggregatedResources']?.path ?? '',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  const header = Buffer.alloc(5);
  header.writeUInt32BE(request.length, 1);
  stream.write(Buffer.concat([header, request]));
  const ended = new Promise<number>((resolve) => stream.once('close', () => resolve(stream.rstCode ?? 0)));
  return { ended, close: () => session.destroy() };
}

/** Sends one message to a bidirectional method and gives its first answer. */
export function askOnce(address: string, path: string, message: Buffer): Promise<Buffer> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const asIs = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(path, asIs, asIs);
  call.write(message);
  return new Promise<Buffer>((resolve, reject) => {
    call.on('data', resolve);
    call.on('error', reject);
  }).finally(() => {
    call.on('error', () => {});
    call.cancel();
    client.close();
  });
}
