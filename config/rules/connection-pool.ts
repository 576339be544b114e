// Rules of connection pools and outlier detection, which DestinationRule and Sidecar share.
import { millisecondsOf, parseDuration } from '../duration.ts';
import type { ConnectionPoolSettings, OutlierDetection } from '../kinds/common.ts';
import { checkDuration } from './durations.ts';
import { conflict, deprecated, type Findings, fine, invalid, missing } from './finding.ts';

/** Checks the limits of a connection pool. */
export function checkConnectionPool(pool: ConnectionPoolSettings | undefined, path: string): Findings {
  if (pool === undefined) return fine;
  if (pool.http === undefined && pool.tcp === undefined) {
    return missing(path, 'connection pool must have at least one field');
  }
  return [...checkHttp(pool.http, `${path}.http`), ...checkTcp(pool.tcp, `${path}.tcp`)];
}

/** Checks when endpoints are ejected. */
export function checkOutlierDetection(outlier: OutlierDetection | undefined, path: string): Findings {
  if (outlier === undefined) return fine;
  return [
    ...checkDuration(outlier.interval, `${path}.interval`),
    ...checkDuration(outlier.baseEjectionTime, `${path}.baseEjectionTime`),
    ...((outlier.consecutiveErrors ?? 0) === 0
      ? fine
      : deprecated(
          `${path}.consecutiveErrors`,
          'consecutiveErrors is deprecated; use consecutiveGatewayErrors or consecutive5xxErrors instead',
        )),
    ...((outlier.consecutiveLocalOriginFailures ?? 0) > 0 && outlier.splitExternalLocalOriginErrors !== true
      ? conflict(
          `${path}.consecutiveLocalOriginFailures`,
          'consecutive local origin failures is specified, but split external local origin errors is set to false',
        )
      : fine),
    ...checkPercentage(outlier.maxEjectionPercent, `${path}.maxEjectionPercent`),
    ...checkPercentage(outlier.minHealthPercent, `${path}.minHealthPercent`),
  ];
}

/** Checks a whole percentage. */
export function checkPercentage(value: number | undefined, path: string): Findings {
  return value === undefined || (value >= 0 && value <= 100)
    ? fine
    : invalid(path, `percentage ${value} is not in range 0..100`);
}

function checkHttp(http: ConnectionPoolSettings['http'], path: string): Findings {
  if (http === undefined) return fine;
  return [
    ...notNegative(http.http1MaxPendingRequests, `${path}.http1MaxPendingRequests`, 'http1 max pending requests'),
    ...notNegative(http.http2MaxRequests, `${path}.http2MaxRequests`, 'http2 max requests'),
    ...notNegative(http.maxRequestsPerConnection, `${path}.maxRequestsPerConnection`, 'max requests per connection'),
    ...notNegative(http.maxRetries, `${path}.maxRetries`, 'max retries'),
    ...notNegative(http.maxConcurrentStreams, `${path}.maxConcurrentStreams`, 'max concurrent streams'),
    ...checkDuration(http.idleTimeout, `${path}.idleTimeout`),
    ...checkDuration(http.http2KeepAlive?.interval, `${path}.http2KeepAlive.interval`),
    ...checkDuration(http.http2KeepAlive?.timeout, `${path}.http2KeepAlive.timeout`),
    ...(http.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol === true
      ? conflict(`${path}.useClientProtocol`, 'use client protocol must not be true when H2UpgradePolicy is UPGRADE')
      : fine),
  ];
}

function checkTcp(tcp: ConnectionPoolSettings['tcp'], path: string): Findings {
  if (tcp === undefined) return fine;
  return [
    ...notNegative(tcp.maxConnections, `${path}.maxConnections`, 'max connections'),
    ...checkDuration(tcp.connectTimeout, `${path}.connectTimeout`),
    ...checkDuration(tcp.maxConnectionDuration, `${path}.maxConnectionDuration`),
    // Zero turns the timeout off.
    ...(isZero(tcp.idleTimeout) ? fine : checkDuration(tcp.idleTimeout, `${path}.idleTimeout`)),
    ...checkDuration(tcp.tcpKeepalive?.time, `${path}.tcpKeepalive.time`),
    ...checkDuration(tcp.tcpKeepalive?.interval, `${path}.tcpKeepalive.interval`),
  ];
}

function isZero(text: string | undefined): boolean {
  const duration = text === undefined ? undefined : parseDuration(text);
  return duration !== undefined && Math.trunc(millisecondsOf(duration)) === 0;
}

function notNegative(value: number | undefined, path: string, what: string): Findings {
  return value !== undefined && value < 0 ? invalid(path, `${what} must be non-negative`) : fine;
}
