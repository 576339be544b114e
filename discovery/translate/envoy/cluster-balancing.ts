// How a cluster chooses among its endpoints: load balancing, and which endpoints it ejects for their errors.
import { create } from '@bufbuild/protobuf';
import type { LocalityLbSetting, OutlierDetection as OutlierSettings } from '../../../config/kinds/common.ts';
import type { LoadBalancerSettings } from '../../../config/kinds/destination-rule.ts';
import {
  type Cluster,
  Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_MaglevLbConfigSchema,
  Cluster_RingHashLbConfigSchema,
  Cluster_RoundRobinLbConfigSchema,
  Cluster_SlowStartConfigSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { OutlierDetectionSchema } from '../../../protos/gen/envoy/config/cluster/v3/outlier_detection_pb.js';
import { PercentSchema } from '../../../protos/gen/envoy/type/v3/percent_pb.js';
import { seconds, wireDuration } from './wire.ts';

/** Sets the policy. Original-destination clusters can have no other than their own. */
export function applyBalancer(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  if (isOriginalDestination(cluster)) {
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    return;
  }
  switch (settings?.simple) {
    case 'RANDOM':
      cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
      break;
    case 'ROUND_ROBIN':
      applyRoundRobin(cluster, settings);
      break;
    case 'PASSTHROUGH':
      cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
      cluster.clusterDiscoveryType = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
      delete cluster.loadAssignment;
      return;
    default:
      applyLeastRequest(cluster, settings);
  }
  if (settings?.consistentHash !== undefined) applyHash(cluster, settings.consistentHash);
}

/** Lets weights of localities count, which distribution and failover rest on. */
export function applyLocalityWeights(cluster: Cluster, setting: LocalityLbSetting | undefined): void {
  if (setting === undefined || cluster.commonLbConfig === undefined) return;
  cluster.commonLbConfig.localityConfigSpecifier = {
    case: 'localityWeightedLbConfig',
    value: create(Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema),
  };
}

const longestDefaultEjection = 300;

/**
 * Sets outlier detection. Panic mode is off, so that traffic never goes to endpoints that are known to be unhealthy,
 * unless a share of healthy ones is demanded.
 */
export function applyOutlierDetection(cluster: Cluster, settings: OutlierSettings | undefined): void {
  if (cluster.commonLbConfig !== undefined) {
    const value = Math.max(0, settings?.minHealthPercent ?? 0);
    cluster.commonLbConfig.healthyPanicThreshold = create(PercentSchema, { value });
  }
  if (settings === undefined) return;
  const out = create(OutlierDetectionSchema, { enforcingSuccessRate: 0 });
  const enforced = (count: number): number => (count > 0 ? 100 : 0);
  if (settings.consecutive5xxErrors !== undefined) {
    out.consecutive5xx = settings.consecutive5xxErrors;
    out.enforcingConsecutive5xx = enforced(settings.consecutive5xxErrors);
  }
  if (settings.consecutiveGatewayErrors !== undefined) {
    out.consecutiveGatewayFailure = settings.consecutiveGatewayErrors;
    out.enforcingConsecutiveGatewayFailure = enforced(settings.consecutiveGatewayErrors);
  }
  const interval = wireDuration(settings.interval);
  if (interval !== undefined) out.interval = interval;
  const ejection = wireDuration(settings.baseEjectionTime);
  if (ejection !== undefined) {
    out.baseEjectionTime = ejection;
    // Envoy refuses a base beyond the longest ejection, which is 300 s unless set (contract 5.2, #33).
    if (ejection.seconds > longestDefaultEjection) out.maxEjectionTime = seconds(Number(ejection.seconds));
  }
  if ((settings.maxEjectionPercent ?? 0) > 0) out.maxEjectionPercent = settings.maxEjectionPercent as number;
  if (settings.splitExternalLocalOriginErrors) {
    out.splitExternalLocalOriginErrors = true;
    const local = settings.consecutiveLocalOriginFailures ?? 0;
    if (local > 0) {
      out.consecutiveLocalOriginFailure = local;
      out.enforcingConsecutiveLocalOriginFailure = 100;
    }
    out.enforcingLocalOriginSuccessRate = 0;
  }
  cluster.outlierDetection = out;
}

/** Whether a cluster connects to the address that the client addressed. */
export function isOriginalDestination(cluster: Cluster): boolean {
  const { clusterDiscoveryType: type } = cluster;
  return type.case === 'type' && type.value === Cluster_DiscoveryType.ORIGINAL_DST;
}

function applyRoundRobin(cluster: Cluster, settings: LoadBalancerSettings): void {
  cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
  const slowStartConfig = slowStart(settings);
  if (slowStartConfig === undefined) return;
  cluster.lbConfig = {
    case: 'roundRobinLbConfig',
    value: create(Cluster_RoundRobinLbConfigSchema, { slowStartConfig }),
  };
}

function applyLeastRequest(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
  const slowStartConfig = slowStart(settings);
  if (slowStartConfig === undefined) return;
  cluster.lbConfig = {
    case: 'leastRequestLbConfig',
    value: create(Cluster_LeastRequestLbConfigSchema, { slowStartConfig }),
  };
}

const defaultMinimumPercent = 10;

function slowStart(settings: LoadBalancerSettings | undefined) {
  const { warmup, warmupDurationSecs } = settings ?? {};
  const slowStartWindow = wireDuration(warmup?.duration ?? warmupDurationSecs);
  if (slowStartWindow === undefined) return undefined;
  if (warmup === undefined) return create(Cluster_SlowStartConfigSchema, { slowStartWindow });
  const { aggression, minimumPercent } = warmup;
  return create(Cluster_SlowStartConfigSchema, {
    slowStartWindow,
    minWeightPercent: { value: minimumPercent ?? defaultMinimumPercent },
    ...(aggression === undefined ? {} : { aggression: { defaultValue: aggression } }),
  });
}

const defaultRingSize = 1024n;

function applyHash(cluster: Cluster, hash: NonNullable<LoadBalancerSettings['consistentHash']>): void {
  if (hash.maglev !== undefined) {
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    const tableSize = sizeOf(hash.maglev.tableSize);
    if (tableSize === undefined) return;
    cluster.lbConfig = { case: 'maglevLbConfig', value: create(Cluster_MaglevLbConfigSchema, { tableSize }) };
    return;
  }
  cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
  const given = sizeOf(hash.ringHash === undefined ? hash.minimumRingSize : hash.ringHash.minimumRingSize);
  const minimumRingSize = given ?? (hash.ringHash === undefined ? defaultRingSize : undefined);
  if (minimumRingSize === undefined) return;
  cluster.lbConfig = { case: 'ringHashLbConfig', value: create(Cluster_RingHashLbConfigSchema, { minimumRingSize }) };
}

function sizeOf(size: number | string | undefined): bigint | undefined {
  const text = String(size ?? 0);
  const value = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  return value > 0n ? value : undefined;
}
