// Counts one gRPC stream: its messages, and its end once, by the first who knows of it.
import type { CallMetrics, CallStatus, XdsMetrics } from './metrics.ts';

/** A stream, as far as its end shows. */
interface EndingCall {
  readonly getPath: () => string;
  readonly once: (event: 'cancelled' | 'close', listener: () => void) => unknown;
}

/** Counts it from now on; whoever ends it says how. */
export function countedCall(call: EndingCall, { callBegan }: Pick<XdsMetrics, 'callBegan'>): CallMetrics {
  const counted = callBegan(call.getPath());
  let hasEnded = false;
  const ended = (status: CallStatus): void => {
    if (!hasEnded) counted.ended(status);
    hasEnded = true;
  };
  call.once('cancelled', () => ended('CANCELLED'));
  call.once('close', () => ended('UNKNOWN'));
  return { received: counted.received, sent: counted.sent, ended };
}
