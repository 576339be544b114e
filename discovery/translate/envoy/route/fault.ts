// Faults injected on a route: delays and aborts for Envoy's fault filter.

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { grpcStatuses } from '../../../../config/grpc-status.ts';
import type { Percent } from '../../../../config/kinds/common.ts';
import type { FaultInjection } from '../../../../config/kinds/virtual-service.ts';
import { HTTPFaultSchema } from '../../../../protos/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { FractionalPercent_DenominatorType } from '../../../../protos/gen/envoy/type/v3/percent_pb.js';
import { packed, wireDuration } from '../wire.ts';

/** Name of the filter, under which its configuration per route stands. */
export const faultFilter = 'envoy.filters.http.fault';

type FaultInit = MessageInitShape<typeof HTTPFaultSchema>;

/** Configuration of the fault filter for a route; undefined where the rule injects nothing. */
export function faultOf(fault: FaultInjection | undefined): Any | undefined {
  if (fault === undefined) return undefined;
  const delay = delayOf(fault.delay);
  const abort = abortOf(fault.abort);
  if (delay === undefined && abort === undefined) return undefined;
  return packed(HTTPFaultSchema, {
    ...(delay === undefined ? {} : { delay }),
    ...(abort === undefined ? {} : { abort }),
  });
}

/** A share in millionths, as Envoy takes it. */
export function fractionOf(percentage: Percent | undefined) {
  return {
    numerator: Math.trunc((percentage?.value ?? 0) * 10000),
    denominator: FractionalPercent_DenominatorType.MILLION,
  };
}

function delayOf(delay: FaultInjection['delay']): FaultInit['delay'] | undefined {
  if (delay === undefined) return undefined;
  const fixedDelay = wireDuration(delay.fixedDelay);
  return {
    percentage: shareOf(delay.percentage, delay.percent),
    ...(fixedDelay === undefined ? {} : { faultDelaySecifier: { case: 'fixedDelay', value: fixedDelay } }),
  };
}

function abortOf(abort: FaultInjection['abort']): FaultInit['abort'] | undefined {
  if (abort === undefined) return undefined;
  const grpc = grpcStatusOf(abort.grpcStatus);
  if (grpc !== undefined) {
    return { percentage: shareOf(abort.percentage), errorType: { case: 'grpcStatus', value: grpc } };
  }
  if (abort.httpStatus === undefined) return undefined;
  return { percentage: shareOf(abort.percentage), errorType: { case: 'httpStatus', value: abort.httpStatus } };
}

function shareOf(percentage: Percent | undefined, whole?: number) {
  if (percentage !== undefined) return fractionOf(percentage);
  return { numerator: whole ?? 100, denominator: FractionalPercent_DenominatorType.HUNDRED };
}

function grpcStatusOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const index = grpcStatuses.indexOf(text);
  if (index >= 0) return index;
  return /^[0-9]{1,2}$/u.test(text) ? Number(text) : undefined;
}
