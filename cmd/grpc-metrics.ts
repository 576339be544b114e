// Metrics of gRPC calls, by the names and labels that Prometheus' gRPC middleware made common: grpc_server_*.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { CallBegan as UnaryBegan } from '../certs/metrics.ts';

/** Tells of a call that begins; `path` is `/package.Service/Method`. */
export type CallBegan = (path: string, type: 'bidi_stream' | 'unary') => ReturnType<UnaryBegan>;

/** Adds them; a method's counters are there once it was called. */
export function grpcMetrics(registry: Registry): CallBegan {
  const labelNames = ['grpc_type', 'grpc_service', 'grpc_method'] as const;
  const counter = (what: string, help: string) =>
    new Counter({ name: `grpc_server_${what}_total`, help, labelNames, registers: [registry] });
  const started = counter('started', 'gRPC calls that began.');
  const received = counter('msg_received', 'Messages of gRPC calls received.');
  const sent = counter('msg_sent', 'Messages of gRPC calls sent.');
  const handled = new Counter({
    name: 'grpc_server_handled_total',
    help: 'gRPC calls that ended, by status.',
    labelNames: [...labelNames, 'grpc_code'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'grpc_server_handling_seconds',
    help: 'How long gRPC calls took; streams take as long as their connections.',
    labelNames,
    registers: [registry],
  });
  return (path, type) => {
    const [, service = '', method = ''] = path.split('/');
    const labels = { grpc_type: type, grpc_service: service, grpc_method: method };
    const [messagesIn, messagesOut] = [received.labels(labels), sent.labels(labels)];
    started.inc(labels);
    const began = performance.now();
    return {
      received: () => messagesIn.inc(),
      sent: () => messagesOut.inc(),
      ended: (code) => {
        handled.inc({ ...labels, grpc_code: codeName(code) });
        seconds.observe(labels, (performance.now() - began) / 1000);
      },
    };
  };
}

/** Go's name of a status, which is in the labels: `InvalidArgument`, `Canceled`. */
function codeName(code: string): string {
  if (code === 'OK') return code;
  const words = code.toLowerCase().split('_');
  const name = words.map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`).join('');
  return name === 'Cancelled' ? 'Canceled' : name;
}
