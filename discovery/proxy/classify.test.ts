// What a proxy's class says of its workload where requests are traced.
import { create, type JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import { connect, graphOf } from '../../test/support/world.ts';
import { parseNode } from './node.ts';

function canonicalOf(workload: string, metadata: JsonObject, enableTracing = true) {
  const id = `sidecar~10.0.0.1~${workload}~dns.svc.cluster.local`;
  const parsed = parseNode(create(NodeSchema, { id, metadata }));
  if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
  return connect(graphOf([], { ...defaultMeshConfig, enableTracing }), parsed.proxy).canonical;
}

const labels = { 'service.istio.io/canonical-name': 'web', 'service.istio.io/canonical-revision': 'v2' };

test('traces name the workload by its labels and namespace', () => {
  const unnamed = { service: 'unknown', revision: 'latest' };
  expect(canonicalOf('web-1.shop', { LABELS: labels })).toEqual({ service: 'web', revision: 'v2', namespace: 'shop' });
  expect(canonicalOf('web-1.shop', {})).toEqual({ ...unnamed, namespace: 'shop' });
  expect(canonicalOf('web-1', {})).toEqual({ ...unnamed, namespace: 'dns' });
  expect(canonicalOf('web-1.', {})).toEqual({ ...unnamed, namespace: 'default' });
});

test('workloads are not told apart by it without traces', () => {
  expect(canonicalOf('web-1.shop', { LABELS: labels }, false)).toBeUndefined();
});
