// When a request is tried again: a rule's retries, the mesh's default, or Istio's own.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { HttpRetry } from '../../../../config/kinds/virtual-service.ts';
import {
  type RetryPolicy,
  RetryPolicySchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { PreviousHostsPredicateSchema } from '../../../../protos/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js';
import { PreviousPrioritiesConfigSchema } from '../../../../protos/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js';
import { packed, wireDuration } from '../wire.ts';

type RetryInit = MessageInitShape<typeof RetryPolicySchema>;

const usualConditions = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';
const byStatus = 'retriable-status-codes';

const otherHosts: Pick<RetryInit, 'retryHostPredicate' | 'hostSelectionRetryMaxAttempts'> = {
  retryHostPredicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      configType: { case: 'typedConfig', value: packed(PreviousHostsPredicateSchema, {}) },
    },
  ],
  // Envoy's default of one attempt finds another host only by luck.
  hostSelectionRetryMaxAttempts: 5n,
};

/** The retry policy of a route, undefined where it has none. */
export function retryPolicy(retries: HttpRetry | undefined): RetryPolicy | undefined {
  if (retries === undefined) {
    return create(RetryPolicySchema, { retryOn: usualConditions, numRetries: 2, ...otherHosts });
  }
  const attempts = retries.attempts ?? 0;
  if (attempts <= 0) return undefined;
  const perTryTimeout = wireDuration(retries.perTryTimeout);
  const baseInterval = wireDuration(retries.backoff);
  return create(RetryPolicySchema, {
    ...conditionsOf(retries.retryOn ?? ''),
    numRetries: attempts,
    ...(retries.retryIgnorePreviousHosts === false ? {} : otherHosts),
    ...(perTryTimeout === undefined ? {} : { perTryTimeout }),
    ...(baseInterval === undefined ? {} : { retryBackOff: { baseInterval } }),
    ...(retries.retryRemoteLocalities === true ? { retryPriority: otherPriorities } : {}),
  });
}

const otherPriorities: NonNullable<RetryInit['retryPriority']> = {
  name: 'envoy.retry_priorities.previous_priorities',
  configType: { case: 'typedConfig', value: packed(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }) },
};

/** Splits Istio's list into Envoy's conditions and statuses. */
function conditionsOf(text: string): Pick<RetryInit, 'retryOn' | 'retriableStatusCodes'> {
  if (text === '') return { retryOn: usualConditions };
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const statuses = parts.filter((part) => /^[1-5][0-9]{2}$/u.test(part)).map(Number);
  const conditions = parts.filter((part) => !/^[1-5][0-9]{2}$/u.test(part));
  const joined = conditions.join(',');
  const named = conditions.includes(byStatus) || statuses.length === 0;
  return { retryOn: named ? joined : `${joined},${byStatus}`, retriableStatusCodes: statuses };
}
