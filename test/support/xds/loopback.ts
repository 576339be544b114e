// A publisher with streams whose transport is memory, for tests of the protocol without sockets.

import { proxies } from '../../../discovery/proxy/classify.ts';
import type { Caller } from '../../../discovery/xds/caller.ts';
import { Publisher } from '../../../discovery/xds/publisher.ts';
import type { PublisherOptions } from '../../../discovery/xds/publisher-options.ts';
import { bytesOf } from '../../../discovery/xds/response.ts';
import type { XdsStream } from '../../../discovery/xds/stream.ts';
import type { StreamStatus } from '../../../discovery/xds/transport.ts';
import { deltaRequest, type Received, readDelta, readSotw, sotwRequest } from './client.ts';
import { type FakeResources, fakeClassOf, fakeGraph, fakeTranslators, writeFake } from './fake-mesh.ts';

/** A stream and what came out of it. */
export interface LoopbackStream {
  readonly stream: XdsStream;
  readonly received: Received[];
  /** How the server ended it. */
  ended: { readonly status: StreamStatus; readonly message: string } | undefined;
  /** While true, the client takes nothing: the transport keeps its callbacks back. */
  paused: boolean;
  readonly resume: () => void;
  readonly delta: (init: Parameters<typeof deltaRequest>[0]) => Promise<void>;
  readonly sotw: (init: Parameters<typeof sotwRequest>[0]) => Promise<void>;
  /** Everything received since the last call. */
  readonly take: () => readonly Received[];
}

/** A publisher over the fake mesh. */
export interface Loopback {
  readonly publisher: Publisher;
  readonly open: (variant: 'delta' | 'sotw', caller?: Caller) => LoopbackStream;
  /** Replaces the resources of namespace `default` and waits until it is published. */
  readonly set: (resources: FakeResources) => Promise<void>;
}

/** Builds it; `options` override the publisher's. */
export function loopback(options: Partial<PublisherOptions> = {}): Loopback {
  const graph = options.graph ?? fakeGraph();
  const publisher = new Publisher({
    graph,
    translators: fakeTranslators(),
    proxies,
    classOf: fakeClassOf,
    epoch: 'n',
    limits: { settleMs: 50 },
    log: ({ level, message, fields }) => {
      if (level === 'error') throw new Error(`${message}: ${JSON.stringify(fields)} ${String(fields['error'])}`);
    },
    ...options,
  });
  let now: FakeResources = {};
  return {
    publisher,
    open: (variant, caller) => openStream(publisher, variant, caller ?? { kind: 'anonymous' }),
    set: (resources) => {
      const before = now;
      now = resources;
      return publisher.apply((target) => writeFake(target, 'default', before, resources));
    },
  };
}

function openStream(publisher: Publisher, variant: 'delta' | 'sotw', caller: Caller): LoopbackStream {
  const received: Received[] = [];
  const waiting: (() => void)[] = [];
  let taken = 0;
  const stream = publisher.open(
    variant,
    {
      peer: 'test',
      send: (message, done) => {
        const bytes = bytesOf(message);
        received.push(variant === 'delta' ? readDelta(bytes) : readSotw(bytes));
        if (opened.paused) waiting.push(done);
        else done();
      },
      end: (status, message) => {
        opened.ended = { status, message };
      },
    },
    caller,
  );
  const opened: LoopbackStream = {
    stream,
    received,
    ended: undefined,
    paused: false,
    resume: () => {
      opened.paused = false;
      for (const done of waiting.splice(0)) done();
    },
    delta: (init) => stream.receive(deltaRequest(init)),
    sotw: (init) => stream.receive(sotwRequest(init)),
    take: () => {
      const fresh = received.slice(taken);
      taken = received.length;
      return fresh;
    },
  };
  return opened;
}
