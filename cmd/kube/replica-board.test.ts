// The Lease on which replicas report: made by whoever is first, each changing its own annotation, whatever others do meanwhile.
import { expect, test } from 'vitest';
import type { KubeAnswer } from '../../config/sources/kube-api.ts';
import { replicaBoard } from './replica-board.ts';

const found = { status: 200, body: { metadata: { annotations: { 'replica.meltemi.io/a': 'one', other: 'x' } } } };
const refused = (status: number): KubeAnswer => ({ status, body: { message: 'because' } });

/** A board whose API server gives these answers, one after the other, and what it was asked. */
function boardOf(...answers: readonly KubeAnswer[]) {
  const asked: string[] = [];
  const left = [...answers];
  const send = async (method: string, path: string, body?: unknown): Promise<KubeAnswer> => {
    asked.push(
      `${method} ${path.slice(path.indexOf('/leases'))} ${body === undefined ? '' : JSON.stringify(body)}`.trim(),
    );
    return left.shift() ?? refused(500);
  };
  return { asked, board: replicaBoard({ send }, 'istio-system', 'board') };
}

const patch = 'PATCH /leases/board {"metadata":{"annotations":{"replica.meltemi.io/a":"one"}}}';
const create =
  'POST /leases {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"board","namespace":"istio-system"}}';

test('reports are read, of a Lease that is not there as none', async () => {
  expect(await boardOf(found).board.read()).toEqual(new Map([['a', 'one']]));
  expect(await boardOf(refused(404)).board.read()).toEqual(new Map());
  await expect(boardOf(refused(403)).board.read()).rejects.toThrow(
    'the Lease board cannot be read (status 403): because',
  );
});

test.each([
  ['that is there', [found], [patch]],
  ['that is missing', [refused(404), { status: 201, body: {} }, found], [patch, create, patch]],
  ['that another makes meanwhile', [refused(404), refused(409), found], [patch, create, patch]],
  ['that others change meanwhile', [refused(409), refused(409), found], [patch, patch, patch]],
])('a report is written to a Lease %s', async (_, answers, expected) => {
  const { asked, board } = boardOf(...answers);
  await board.write('a', 'one');
  expect(asked).toEqual(expected);
});

test.each([
  ['for ever', [refused(409), refused(409), refused(409), found], 3],
  ['by its refusal', [refused(422), found], 1],
  ['by the refusal to make it', [refused(404), refused(403), found], 2],
])('a Lease that cannot be changed %s is given up', async (_, answers, requests) => {
  const { asked, board } = boardOf(...answers);
  await expect(board.write('a', 'one')).rejects.toThrow(/^the Lease board cannot be (written|created)/);
  expect(asked.length).toBe(requests);
});

test('a report is taken away by a null', async () => {
  const { asked, board } = boardOf(found);
  await board.remove('a');
  expect(asked).toEqual([patch.replace('"one"', 'null')]);
});
