// What a proxy can do, read from its Node message: translators ask for capabilities, never for versions.

/** Abilities that change what a proxy may be sent (contract 3). One frozen value per distinct set. */
export interface Capabilities {
  /** istio-proxy's own filters exist: istio.stats, istio.alpn, istio.metadata_exchange, peer metadata. */
  readonly istioFilters: boolean;
  /** An agent serves `default` and `ROOTCA` over the cluster `sds-grpc`; otherwise we serve them on the ADS stream. */
  readonly agentSds: boolean;
  /** Internal listeners can be configured, which HBONE needs. */
  readonly internalListeners: boolean;
}
