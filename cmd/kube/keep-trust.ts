// The roots, and the revocation lists of a plugged-in CA, in every namespace as long as the control plane runs.
import { revocationsOf } from '../../certs/authority.ts';
import { selectsNamespace } from '../../discovery/model/discovered.ts';
import { mesh } from '../../discovery/model/objects.ts';
import type { ControlPlane } from '../compose.ts';
import { rest } from '../rest.ts';
import { rootsLease } from './names.ts';
import { NamespaceConfigMaps, type NamespaceConfigMapsOptions } from './namespace-config-maps.ts';
import { endingInTurn, type LeadingOptions, whileLeading } from './while-leading.ts';

/** Keeps them until disposed; changed by the leader of the replicas only. */
export function keepTrust(plane: ControlPlane, leading: Omit<LeadingOptions, 'lease'>): AsyncDisposable {
  const { settings, store, identity, graph, xds } = plane;
  const { api, log } = leading;
  const warn = (message: string): void => log.warn(message);
  const keeper = (
    name: string,
    key: NamespaceConfigMapsOptions['key'],
    text: () => string | undefined,
  ): NamespaceConfigMaps =>
    new NamespaceConfigMaps({
      ...{ api, store, name, key, text },
      // By the namespace as the store has it: the graph may not have been told of it yet.
      isDiscovered: (namespace) =>
        selectsNamespace(
          graph.read(mesh, 'mesh').discoverySelectors,
          namespace,
          store.get('Namespace', `/${namespace}`),
        ),
      sleep: rest,
      random: Math.random,
      monotonic: () => performance.now(),
      report: store.sinkOf(name).report,
      log: warn,
    });
  const authority = identity.signing?.authority;
  const roots = keeper(settings.rootConfigMap, 'root-cert.pem', () => identity.roots.current() || undefined);
  const lists = keeper(settings.crlConfigMap, 'ca-crl.pem', () =>
    authority === undefined ? undefined : revocationsOf(authority.state)?.pem,
  );
  const keepers = [roots, lists];
  const lookAtAll = (): void => {
    for (const each of keepers) each.lookAtAll();
  };
  const lead = whileLeading({ ...leading, lease: rootsLease(settings.revision) }, (leads) => {
    for (const each of keepers) each.lead(leads);
  });
  const unfollow = [
    identity.roots.onChange(() => roots.lookAtAll()),
    authority?.subscribe(() => lists.lookAtAll()),
    // Other discoverySelectors may be in force once this is published.
    store.subscribe((changes) => {
      const ours = changes.some(
        ({ kind, key }) => kind === 'ConfigMap' && key.startsWith(`${settings.systemNamespace}/`),
      );
      if (ours) xds.publisher.idle().then(lookAtAll, warn);
    }),
  ];
  return {
    async [Symbol.asyncDispose]() {
      for (const one of unfollow) one?.();
      await Promise.all([roots[Symbol.asyncDispose](), endingInTurn(lists, lead)[Symbol.asyncDispose]()]);
    },
  };
}
