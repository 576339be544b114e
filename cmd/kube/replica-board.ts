// Where replicas report to each other: annotations of one Lease, which needs no right but to that Lease, and nobody watches.
import type { ReplicaBoard } from '../../certs/replicas.ts';
import type { KubeAnswer, KubeApi } from '../../config/sources/kube-api.ts';

const prefix = 'replica.meltemi.io/';
/** Attempts to change the Lease while others do. */
const mostAttempts = 3;

/** The board that the Lease of that name is. The names of replicas must do as names of annotations. */
export function replicaBoard(api: Pick<KubeApi, 'send'>, namespace: string, name: string): ReplicaBoard {
  const folder = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
  const patch = (replica: string, report: string | null): Promise<KubeAnswer> =>
    api.send(
      'PATCH',
      `${folder}/${name}`,
      { metadata: { annotations: { [prefix + replica]: report } } },
      'application/merge-patch+json',
    );
  const annotate = async (replica: string, report: string | null): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      const answer = await patch(replica, report);
      if (answer.status === 200) return;
      const isWorthAnother = answer.status === 404 || answer.status === 409;
      if (!isWorthAnother || attempt === mostAttempts) throw failure('written', answer);
      if (answer.status === 409) continue;
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
      const created = await api.send('POST', folder, { ...lease, metadata: { name, namespace } });
      // Somebody may have been faster.
      if (created.status !== 201 && created.status !== 409) throw failure('created', created);
    }
  };
  const failure = (what: string, { status, body }: KubeAnswer): Error => {
    const { message } = (body ?? {}) as { readonly message?: unknown };
    const detail = typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
    return new Error(`the Lease ${name} cannot be ${what} (status ${status})${detail}`);
  };
  return {
    read: async () => {
      const answer = await api.send('GET', `${folder}/${name}`);
      if (answer.status === 404) return new Map();
      if (answer.status !== 200) throw failure('read', answer);
      const { metadata } = answer.body as { readonly metadata: { readonly annotations?: Record<string, string> } };
      const reports = Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith(prefix));
      return new Map(reports.map(([key, report]) => [key.slice(prefix.length), report]));
    },
    write: annotate,
    remove: (replica) => annotate(replica, null),
  };
}
