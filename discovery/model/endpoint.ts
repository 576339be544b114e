// An endpoint of a service port: one address to which requests may be sent, and what is known of the workload there.
import type { Locality } from './locality.ts';

/** Whether an endpoint takes traffic: Envoy's HealthStatus for it; `unknown` where nobody checks it, which counts as healthy. */
export type Health = 'healthy' | 'unhealthy' | 'draining' | 'unknown';

/** One endpoint. Equal workloads behind two services are two endpoints. */
export interface Endpoint {
  /** IP address, host name (DNS resolutions) or `unix://` path. */
  readonly address: string;
  /** Port of the workload; 0 for unix paths. */
  readonly port: number;
  /** Name of the service port it serves. */
  readonly portName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** SPIFFE id of the workload, or empty. */
  readonly identity: string;
  readonly locality: Locality;
  readonly network: string;
  readonly cluster: string;
  /** Relative weight, 0 meaning unset (1). */
  readonly weight: number;
  readonly health: Health;
  /** Whether the workload accepts Istio mTLS (label security.istio.io/tlsMode=istio): 'istio' or 'disabled'. */
  readonly tlsMode: 'istio' | 'disabled';
  readonly nodeName: string;
  readonly namespace: string;
  /** Name of the controller (Deployment) or pod, for the telemetry metadata `istio.workload`. */
  readonly workloadName: string;
  readonly hostname?: string;
  readonly subdomain?: string;
}
