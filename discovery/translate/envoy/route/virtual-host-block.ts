// Runs of neighbouring virtual hosts: a change of one host re-reads its run, not every host of the port.
import { createHash } from 'node:crypto';
import { query } from '../../../graph/graph.ts';
import { type SharedBytes, sharedBytes } from '../../../resource.ts';
import { type VirtualHostKey, virtualHostFrame } from './virtual-host.ts';
import { type PlanKey, planId, virtualHostPlan } from './virtual-host-plan.ts';

/** A run of virtual hosts. */
export interface VirtualHostBlock {
  /** Hash of the hosts' ids: the block's identity. */
  readonly id: string;
  readonly hosts: readonly VirtualHostKey[];
}

/** Hosts in a block, on average. */
const usualSize = 32;

/** The virtual hosts of a port in blocks, in their order. */
export const virtualHostBlocks = query<PlanKey, readonly VirtualHostBlock[]>(
  'virtual-host-blocks',
  (read, key) => blocksOf(read(virtualHostPlan, key)),
  { idOf: planId, equals: (a, b) => a.length === b.length && a.every(({ id }, i) => id === b[i]?.id) },
);

/** A block's virtual hosts as fields of the route configuration, for all classes that see these hosts alike. */
export const virtualHostBlockBytes = query<VirtualHostBlock, SharedBytes>(
  'virtual-host-block',
  (read, { hosts }) => sharedBytes(hosts.map((host) => read(virtualHostFrame, host))),
  { idOf: ({ id }) => id, equals: (a, b) => a.hash === b.hash, keptKeys: true },
);

/** Cuts where a name says so, not by count: a host that is added or removed moves no other cut. */
function blocksOf(hosts: readonly VirtualHostKey[]): readonly VirtualHostBlock[] {
  const blocks: VirtualHostBlock[] = [];
  let run: VirtualHostKey[] = [];
  const close = (): void => {
    if (run.length > 0)
      blocks.push({
        id: createHash('sha1')
          .update(run.map(({ id }) => id).join('\n'))
          .digest('base64url'),
        hosts: run,
      });
    run = [];
  };
  for (const host of hosts) {
    run.push(host);
    if (endsBlock(host.name)) close();
  }
  close();
  return blocks;
}

function endsBlock(name: string): boolean {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return (hash >>> 7) % usualSize === 0;
}
