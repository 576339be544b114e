// The gRPC front of discovery, where grpc-js is known. Bytes in, bytes out; everything else is elsewhere.
import { randomBytes } from 'node:crypto';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Duplex } from 'node:stream';
import type { DescFile } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { plainPeer } from '../../config/peer-address.ts';
import { Admission, type AdmissionOptions } from './admission.ts';
import { type Adopting, adopting } from './adopting.ts';
import type { Authenticate, CallerFacts } from './caller.ts';
import { countedCall } from './counted-call.ts';
import { enter, type GateOptions } from './gate.ts';
import { type CallMetrics, noMetrics, type XdsMetrics } from './metrics.ts';
import { Publisher } from './publisher.ts';
import type { PublisherOptions } from './publisher-options.ts';
import { reflect, reflectionServices } from './reflection.ts';
import type { Variant } from './request.ts';
import { bytesOf } from './response.ts';
import { ReloadingCredentials, type TlsSource } from './server-credentials.ts';
import { defaultLimits, type ServerLimits } from './server-limits.ts';
import type { XdsStream } from './stream.ts';
import type { StreamStatus, Transport } from './transport.ts';

/** What the server needs besides the publisher's own options. */
export interface XdsServerOptions extends Omit<PublisherOptions, 'epoch'> {
  readonly epoch?: string;
  readonly authenticate: Authenticate;
  /** Whether streams may be served. Default: always. */
  readonly ready?: () => boolean;
  readonly admission?: AdmissionOptions;
  readonly server?: Partial<ServerLimits>;
}

/** A gRPC service that shares the port, as its own module defines it. */
export interface GrpcService {
  readonly definition: grpc.ServiceDefinition;
  readonly implementation: grpc.UntypedServiceImplementation;
}

/** A port to listen on. */
export interface ListenOptions {
  /** `host:port`; port 0 takes any. */
  readonly address: string;
  /** Absent: plaintext. Client certificates are asked for, not required. */
  readonly tls?: TlsSource;
  readonly services?: readonly GrpcService[];
}

/** An open port. */
export interface Listening {
  readonly port: number;
  /** Ends calls gracefully for `graceMs`, then for good. */
  readonly close: (graceMs: number) => Promise<void>;
}

/** The xDS server. */
export interface XdsServer {
  readonly publisher: Publisher;
  /** Opens a port. Rejects where it cannot be opened (in use, not allowed). */
  readonly listen: (options: ListenOptions) => Promise<Listening>;
  /** Serves plaintext connections that somebody else accepts. */
  readonly adopt: () => Adopting;
  /** Ends streams, ports and timers. */
  readonly close: (graceMs?: number) => Promise<void>;
}

/** Composes publisher and gRPC. Nothing listens before `listen`. */
export function createXdsServer(options: XdsServerOptions): XdsServer {
  const limits: ServerLimits = { ...defaultLimits, ...options.server };
  const epoch = options.epoch ?? `${randomBytes(6).toString('base64url')}.`;
  const publisher = new Publisher({ ...options, epoch });
  const admission = new Admission(publisher.now(), options.admission);
  const gate: GateOptions = {
    ready: options.ready ?? (() => true),
    admission,
    authenticate: options.authenticate,
    open: () => publisher.streams.size,
    maxStreams: limits.maxStreams,
    authenticationMs: limits.authenticationMs,
    now: publisher.now,
  };
  const metrics = options.metrics ?? noMetrics;
  const front: Front = { publisher, gate, limits, metrics };
  const stopWatching = watchLoad(publisher, admission, limits);
  const open = new Set<Pick<Listening, 'close'>>();
  return {
    publisher,
    listen: async (listenOptions) => {
      const listening = await listen(front, listenOptions);
      open.add(listening);
      return listening;
    },
    adopt: () => {
      const server = serverFor(front);
      const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
      const adopted = adopting({
        injectConnection: (connection) => injector.injectConnection(connection),
        drain: (graceMs) => injector.drain(graceMs),
        end: () => server.forceShutdown(),
      });
      open.add(adopted);
      return adopted;
    },
    close: async (graceMs = 0) => {
      stopWatching();
      publisher.stop();
      await Promise.all([...open].map((listening) => listening.close(graceMs)));
    },
  };
}

interface Front {
  readonly publisher: Publisher;
  readonly gate: GateOptions;
  readonly limits: ServerLimits;
  readonly metrics: XdsMetrics;
}

// The delay of the event loop sets the pace of admission, and is measured while there is any: the measurement wakes the
// process a hundred times a second. The same beat finds clients that stopped reading.
function watchLoad(publisher: Publisher, admission: Admission, limits: ServerLimits): () => void {
  let delays: ReturnType<typeof monitorEventLoopDelay> | undefined;
  const timer = setInterval(() => {
    admission.observe(publisher.now(), delays === undefined ? 0 : delays.percentile(90) / 1e6 - 10);
    delays?.reset();
    if (admission.isQuiet) {
      delays?.disable();
      delays = undefined;
    } else if (delays === undefined) {
      delays = monitorEventLoopDelay({ resolution: 10 });
      delays.enable();
    }
    for (const stream of publisher.streams) {
      if (!stream.isStuck(limits.sendMs)) continue;
      publisher.writeTimedOut();
      stream.end('DEADLINE_EXCEEDED', 'the client does not read what it is sent');
    }
  }, 100);
  timer.unref();
  return () => {
    clearInterval(timer);
    delays?.disable();
  };
}

async function listen(front: Front, { address, tls, services = [] }: ListenOptions): Promise<Listening> {
  const server = serverFor(front, services, tls !== undefined);
  const secured = tls === undefined ? undefined : new ReloadingCredentials(tls);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, secured ?? grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    close: (graceMs) => {
      secured?.[Symbol.dispose]();
      return closeServer(server, graceMs);
    },
  };
}

function serverFor(front: Front, services: readonly GrpcService[] = [], tls = false): grpc.Server {
  const { limits } = front;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': limits.maxRequestBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.maxStreams,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc.max_connection_age_ms': limits.maxConnectionAgeMs,
    'grpc.max_connection_age_grace_ms': limits.maxConnectionAgeGraceMs,
    // Books on each connection and call that no service here lets anybody read.
    'grpc.enable_channelz': 0,
  });
  server.addService(discoveryService, {
    StreamAggregatedResources: (call: Call) => void serve(front, call, 'sotw', tls),
    DeltaAggregatedResources: (call: Call) => void serve(front, call, 'delta', tls),
  });
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  addReflection(server, [discoveryService, ...services.map(({ definition }) => definition)]);
  return server;
}

function closeServer(server: grpc.Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}

function addReflection(server: grpc.Server, definitions: readonly grpc.ServiceDefinition[]): void {
  const paths = definitions.flatMap((definition) => Object.values(definition).map(({ path }) => path));
  const services = [...new Set([...paths.map((path) => path.split('/')[1] ?? ''), ...reflectionServices])].sort();
  for (const name of reflectionServices) {
    const definition = { ServerReflectionInfo: method(name, 'ServerReflectionInfo') };
    server.addService(definition, { ServerReflectionInfo: (call: Call) => answerReflection(call, services) });
  }
}

function answerReflection(call: Call, services: readonly string[]): void {
  call.on('error', () => {});
  call.on('data', (request: Buffer) => {
    call.pause();
    reflectedFiles()
      .then((files) => call.write(Buffer.from(reflect(request, { services, files })), () => call.resume()))
      .catch(() => endCall(call, 'INVALID_ARGUMENT', 'the message is not a reflection request'));
  });
  call.on('end', () => call.end());
}

// Loaded when asked for.
async function reflectedFiles(): Promise<readonly DescFile[]> {
  const [ads, ca] = await Promise.all([
    import('../../protos/gen/envoy/service/discovery/v3/ads_pb.js'),
    import('../../protos/gen/istio/ca_pb.js'),
  ]);
  return [ads.file_envoy_service_discovery_v3_ads, ca.file_istio_ca];
}

type Call = grpc.ServerDuplexStream<Buffer, Buffer>;

const asIs = (bytes: Buffer): Buffer => bytes;
const method = (service: string, name: string) => ({
  path: `/${service}/${name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

const aggregated = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

/** envoy.service.discovery.v3.AggregatedDiscoveryService with bytes as messages; clients in tests use it too. */
export const discoveryService: grpc.ServiceDefinition = {
  StreamAggregatedResources: method(aggregated, 'StreamAggregatedResources'),
  DeltaAggregatedResources: method(aggregated, 'DeltaAggregatedResources'),
};

async function serve(front: Front, call: Call, variant: Variant, tls: boolean): Promise<void> {
  const gone = { yet: false };
  const counted = countedCall(call, front.metrics);
  call.once('cancelled', () => {
    gone.yet = true;
  });
  const entry = await enter(factsOf(call, tls), front.gate);
  if (gone.yet) return;
  if ('status' in entry) {
    front.metrics.streamRefused(entry.status);
    counted.ended(entry.status);
    endCall(call, entry.status, entry.message);
    return;
  }
  const stream = front.publisher.open(variant, transportOf(call, counted), entry.caller);
  call.once('cancelled', () => stream.close());
  call.once('end', () => stream.end('OK', ''));
  call.on('error', () => stream.close());
  const silence = setTimeout(() => {
    if (stream.proxy === undefined) stream.end('DEADLINE_EXCEEDED', 'the client did not send a request');
  }, front.limits.firstRequestMs);
  silence.unref();
  call.once('close', () => clearTimeout(silence));
  pump(call, stream, counted, front.limits.requestRate);
}

// One request at a time: a client that sends faster than it is served is slowed down by flow control.
function pump(call: Call, stream: XdsStream, counted: CallMetrics, rate: number): void {
  let allowance = rate * 4;
  let at = performance.now();
  call.on('data', (bytes: Buffer) => {
    counted.received();
    call.pause();
    void stream.receive(bytes).then(() => {
      const now = performance.now();
      allowance = Math.min(rate * 4, allowance + ((now - at) / 1000) * rate) - 1;
      at = now;
      if (allowance >= 0) call.resume();
      else setTimeout(() => call.resume(), 1000 / rate);
    });
  });
}

function transportOf(call: Call, counted: CallMetrics): Transport {
  const http2 = http2StreamOf(call);
  let begun = false;
  return {
    peer: plainPeer(call.getPeer()),
    send: (message, done) => {
      counted.sent();
      if (http2 === undefined) {
        call.write(bytesOf(message), () => done());
        return;
      }
      // grpc-js would copy each message for each stream; the pieces are the same for all that share them.
      if (!begun) call.sendMetadata(new grpc.Metadata());
      begun = true;
      if (!http2.destroyed && http2.writable) writeAll(http2, message.pieces, done);
    },
    end: (status, message) => {
      // A client that is gone seems to have ended its side.
      counted.ended(status === 'OK' && (http2?.aborted || http2?.destroyed) ? 'CANCELLED' : status);
      endCall(call, status, message);
    },
  };
}

/** In one go, so that the socket gets them together. */
function writeAll(http2: ServerHttp2Stream, pieces: readonly Uint8Array[], done: () => void): void {
  const last = pieces.length - 1;
  http2.cork();
  for (const [i, piece] of pieces.entries()) http2.write(piece, i === last ? () => done() : undefined);
  http2.uncork();
}

function endCall(call: Call, status: StreamStatus, message: string): void {
  if (status === 'OK') {
    call.end();
    return;
  }
  // Listeners for `error` set the status and end the stream; see grpc-js, ServerDuplexStream.
  call.emit('error', { code: grpc.status[status], details: message });
  // Behind a message that the client does not read, the status would wait for ever.
  setTimeout(() => resetStream(call), 1000).unref();
}

function resetStream(call: Call): void {
  const http2 = http2StreamOf(call);
  if (http2 !== undefined && !http2.destroyed) http2.close(constants.NGHTTP2_CANCEL);
}

// grpc-js has no public way to the stream below a call; without it, messages are copied and nothing is reset.
function http2StreamOf(call: Call): ServerHttp2Stream | undefined {
  const inner: unknown = Reflect.get(call, 'call');
  const stream: unknown = typeof inner === 'object' && inner !== null ? Reflect.get(inner, 'stream') : undefined;
  return stream instanceof Duplex && 'close' in stream && 'rstCode' in stream
    ? (stream as ServerHttp2Stream)
    : undefined;
}

function factsOf(call: Call, tls: boolean): CallerFacts {
  const certificate = tls ? call.getAuthContext().sslPeerCertificate?.raw : undefined;
  return {
    peer: plainPeer(call.getPeer()),
    tls,
    header: (name) => call.metadata.get(name).map(String),
    ...(certificate === undefined ? {} : { clientCertificate: certificate }),
  };
}
