// Addresses of a bootstrap, and the JSON it is written in.

/** A JSON value, as a bootstrap is written. */
export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };

/** A place to listen at. The address `::` takes IPv4 too. */
export interface BindOptions {
  readonly address: string;
  readonly port: number;
}

/** An Envoy socket address in JSON (envoy.config.core.v3.Address). */
export function socketAddress({ address, port }: BindOptions): { readonly [key: string]: Json } {
  const both = address === '::' ? { ipv4_compat: true } : {};
  return { socket_address: { address, port_value: port, ...both } };
}
