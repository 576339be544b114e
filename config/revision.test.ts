// Which objects are a revision's: every case of label and revision, and that other revisions' objects are not looked at.
import { expect, test } from 'vitest';
import { isOfRevision } from './revision.ts';
import { validate } from './validate.ts';

const rev = (value: string) => ({ 'istio.io/rev': value });
const mesh = { builtin: false };
const core = { builtin: true };

test.each([
  ['without a label', mesh, undefined, 'canary', true],
  ['with other labels only', mesh, { app: 'a' }, 'canary', true],
  ['with the label', mesh, rev('canary'), 'canary', true],
  ["with another's", mesh, rev('stable'), 'canary', false],
  ['with an empty one', mesh, rev(''), 'canary', false],
  ["with default's", mesh, rev('default'), 'canary', false],
  ["with default's, for default", mesh, rev('default'), 'default', true],
  ["with another's, for default", mesh, rev('canary'), 'default', false],
  ["with another's, for no revision", mesh, rev('canary'), '', true],
  ["of Kubernetes with another's", core, rev('stable'), 'canary', true],
] as const)('an object %s (%j %j, revision "%s")', (_what, def, labels, revision, expected) => {
  expect(isOfRevision(def, labels, revision)).toBe(expected);
});

test("nothing is said of another revision's object, however bad", () => {
  const raw = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a', labels: rev('stable') },
    spec: { hosts: 7 },
    more: true,
  };
  expect(validate(raw, { revision: 'canary' })).toEqual({ elsewhere: true, diagnostics: [] });
  expect(validate(raw, { revision: 'stable' }).diagnostics.map(({ code }) => code)).toEqual([
    'unknown-field',
    'wrong-type',
  ]);
});
