// A service port that a workload serves: what decides a sidecar's inbound side.

/** A service port that the proxy's workload serves. */
export interface ServiceTarget {
  /** Key of the service in the model, `namespace/hostname`. */
  readonly service: string;
  /** The service's port number. */
  readonly port: number;
  /** The workload's own port. */
  readonly targetPort: number;
}
