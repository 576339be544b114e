// Certificates for Gateways whose Secret the folder lacks, so that HTTPS can be tried out at once.

import type { Authority } from '../../certs/authority.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { RenewingCertificate } from '../../certs/renewing-certificate.ts';
import type { Gateway } from '../../config/kinds/gateway.ts';
import type { AnyObject } from '../../config/kinds/kinds.ts';
import { ingress } from './ingress.ts';

/** Secrets that were made, and for which hosts. */
export interface DemoSecrets {
  readonly objects: readonly AnyObject[];
  readonly made: readonly string[];
}

const lifetimeSeconds = 90 * 24 * 3600;

/** Certificates of the mesh's own authority, made once each. */
export class DemoCertificates {
  readonly #objects = new Map<string, AnyObject>();
  readonly #authority: Authority;

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  /** The Secrets that Gateways of the ingress name and `exists` does not find. */
  async for(gateways: readonly Gateway[], exists: (key: string) => boolean): Promise<DemoSecrets> {
    const fresh: string[] = [];
    const objects: AnyObject[] = [];
    for (const { name, hosts } of wanted(gateways)) {
      const key = `${ingress.namespace}/${name}`;
      const known = this.#objects.get(key);
      if (known === undefined && exists(key)) continue;
      const object = known ?? (await secretFor(this.#authority, name, hosts));
      if (known === undefined) fresh.push(`${hosts.join(', ')} (Secret ${key})`);
      this.#objects.set(key, object);
      objects.push(object);
    }
    return { objects, made: fresh };
  }
}

function wanted(gateways: readonly Gateway[]): readonly { name: string; hosts: readonly string[] }[] {
  const found = new Map<string, Set<string>>();
  for (const server of gateways.flatMap((gateway) => gateway.spec?.servers ?? [])) {
    const name = server.tls?.credentialName ?? '';
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) continue;
    const hosts = found.get(name) ?? new Set();
    for (const host of server.hosts ?? []) hosts.add(host.slice(host.indexOf('/') + 1));
    found.set(name, hosts);
  }
  return [...found].map(([name, hosts]) => ({ name, hosts: [...hosts].filter((host) => host !== '*').sort() }));
}

async function secretFor(authority: Authority, name: string, hosts: readonly string[]): Promise<AnyObject> {
  using certificate = new RenewingCertificate(
    authority,
    { uris: [], dnsNames: () => hosts, lifetimeSeconds: () => lifetimeSeconds },
    systemEnvironment,
  );
  const held = await certificate.ready();
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: ingress.namespace },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': encoded(held.certificateChain), 'tls.key': encoded(held.privateKey) },
  };
}
