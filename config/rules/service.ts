// Rules of Service: the API server has judged its fields, so only what annotations say to the mesh is looked at.
import type { Service } from '../kinds/service.ts';
import { doubtful, type Findings, fine } from './finding.ts';
import { checkTrafficDistribution } from './traffic-distribution.ts';

const nodeSelector = 'traffic.istio.io/nodeSelector';

/** Labels that a node must have, and what is wrong with how they are written. */
interface NodeSelector {
  readonly labels: Readonly<Record<string, string>>;
  readonly problem?: string;
}

/** Warns only: a Service is Kubernetes' own object. */
export function checkService(service: Service): Findings {
  const { problem } = nodeSelectorOf(service) ?? {};
  return [
    ...(problem === undefined ? fine : doubtful(`metadata.annotations["${nodeSelector}"]`, problem)),
    ...checkTrafficDistribution(service.metadata),
  ];
}

/**
 * The nodes that lead to a gateway: undefined where the Service is not of type NodePort or has no annotation
 * `traffic.istio.io/nodeSelector`, a JSON object of node labels. Without labels it is every node. As in istiod what is no
 * such object also selects every node, and a value that is no text counts as empty.
 */
export function nodeSelectorOf({ metadata, spec }: Service): NodeSelector | undefined {
  const written = metadata.annotations?.[nodeSelector];
  if (written === undefined || spec?.type !== 'NodePort') return undefined;
  return written === '' ? { labels: {} } : parseNodeSelector(written);
}

function parseNodeSelector(written: string): NodeSelector {
  const value = parseJson(written);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      labels: {},
      problem: 'node labels are a JSON object such as {"name":"value"}; this one selects every node',
    };
  }
  const entries = Object.entries(value);
  const bad = entries.find(([, label]) => typeof label !== 'string')?.[0];
  return {
    labels: Object.fromEntries(entries.map(([name, label]) => [name, typeof label === 'string' ? label : ''])),
    ...(bad === undefined
      ? {}
      : { problem: `the value of label ${JSON.stringify(bad.slice(0, 60))} is no text and counts as empty` }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
