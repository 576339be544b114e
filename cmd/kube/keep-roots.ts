// The roots in every namespace, as long as the control plane runs: what makes them be looked at, and who changes them.
import { selectsNamespace } from '../../discovery/model/discovered.ts';
import { mesh } from '../../discovery/model/objects.ts';
import type { ControlPlane } from '../compose.ts';
import { rest } from '../rest.ts';
import { rootsLease } from './names.ts';
import { RootCertificates } from './root-certificates.ts';
import { endingInTurn, type LeadingOptions, whileLeading } from './while-leading.ts';

/** Keeps them until disposed; changed by the leader of the replicas only. */
export function keepRoots(plane: ControlPlane, leading: Omit<LeadingOptions, 'lease'>): AsyncDisposable {
  const { settings, store, identity, graph, xds } = plane;
  const { api, log } = leading;
  const warn = (message: string): void => log.warn(message);
  const roots = new RootCertificates({
    api,
    store,
    name: settings.rootConfigMap,
    roots: identity.roots.current,
    // By the namespace as the store has it: the graph may not have been told of it yet.
    isDiscovered: (namespace) =>
      selectsNamespace(graph.read(mesh, 'mesh').discoverySelectors, namespace, store.get('Namespace', `/${namespace}`)),
    sleep: rest,
    monotonic: () => performance.now(),
    report: store.sinkOf('roots').report,
    log: warn,
  });
  const lead = whileLeading({ ...leading, lease: rootsLease(settings.revision) }, (leads) => roots.lead(leads));
  const unfollow = [
    identity.roots.onChange(() => roots.lookAtAll()),
    // Other discoverySelectors may be in force once this is published.
    store.subscribe((changes) => {
      const ours = changes.some(
        ({ kind, key }) => kind === 'ConfigMap' && key.startsWith(`${settings.systemNamespace}/`),
      );
      if (ours) xds.publisher.idle().then(() => roots.lookAtAll(), warn);
    }),
  ];
  return {
    async [Symbol.asyncDispose]() {
      for (const one of unfollow) one();
      await endingInTurn(roots, lead)[Symbol.asyncDispose]();
    },
  };
}
