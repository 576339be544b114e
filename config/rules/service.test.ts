// What the annotation for nodes of NodePort Services says, and what is told of annotations that cannot be read.
import { describe, expect, test } from 'vitest';
import type { Service } from '../kinds/service.ts';
import { validate } from '../validate.ts';
import { nodeSelectorOf } from './service.ts';

const service = (annotations: object, type = 'NodePort') => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'default', annotations },
  spec: { type, ports: [{ port: 15443, nodePort: 30443 }] },
});

describe('nodeSelector', () => {
  const selecting = (text: string) => service({ 'traffic.istio.io/nodeSelector': text });
  const every = /such as \{"name":"value"\}; this one selects every node$/;
  test.each<[string, object, RegExp?]>([
    ['{"edge":"yes","arch":"x"}', { edge: 'yes', arch: 'x' }],
    ['{}', {}],
    ['', {}],
    ['edge=yes', {}, every],
    ['{"edge":"yes"', {}, every],
    ['["edge"]', {}, every],
    ['null', {}, every],
    ['{"edge":true,"arch":"x"}', { edge: '', arch: 'x' }, /^the value of label "edge" is no text/],
  ])('%s', (text, labels, problem) => {
    const { object, diagnostics } = validate(selecting(text));
    expect(nodeSelectorOf(object as Service)?.labels).toEqual(labels);
    const path = 'metadata.annotations["traffic.istio.io/nodeSelector"]';
    expect(diagnostics).toEqual(
      problem === undefined
        ? []
        : [expect.objectContaining({ path, severity: 'warning', message: expect.stringMatching(problem) })],
    );
  });

  test('is nothing to Services of other types, or without it', () => {
    const other = validate(service({ 'traffic.istio.io/nodeSelector': 'edge=yes' }, 'LoadBalancer'));
    expect(other.diagnostics).toEqual([]);
    expect(nodeSelectorOf(other.object as Service)).toBeUndefined();
    expect(nodeSelectorOf(validate(service({})).object as Service)).toBeUndefined();
  });
});
