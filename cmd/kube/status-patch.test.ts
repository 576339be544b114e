// What statuses are made of findings and rejections, and that nothing of others is touched.
import { describe, expect, test } from 'vitest';
import { type Diagnostic, errorOf, warningOf } from '../../config/diagnostic.ts';
import { type Judgement, statusPatch } from './status-patch.ts';

const moment = { now: Date.UTC(2030, 0, 2, 3, 4, 5, 678), generation: 3 };
const at = '2030-01-02T03:04:05Z';
const object = { kind: 'Sidecar', namespace: 'a', name: 'b' };
const nothing: Judgement = { findings: [], keptLastGood: false, rejection: undefined };
const error = errorOf('wrong-type', 'must be a list', { object, path: 'spec.hosts' });
const warning = warningOf('invalid-reference', 'Gateway a/b does not exist', { object, help: 'did you mean a/c?' });
const theirs = { type: 'Healthy', status: 'True' };
const theirMessage = { type: { name: 'Schema', code: 'IST0106' }, level: 'INFO' };
const accepted = {
  type: 'Accepted',
  status: 'False',
  reason: 'Invalid',
  message: 'The object has no effect. error[wrong-type] spec.hosts: must be a list',
  lastTransitionTime: '2029-01-01T00:00:00Z',
  observedGeneration: 3,
};
const message = (code: string, level: string) => ({ type: { name: code, code: `meltemi/${code}` }, level });
const told = { conditions: [accepted], validationMessages: [message('wrong-type', 'ERROR')], observedGeneration: 3 };

const patched = (status: unknown, judgement: Partial<Judgement>, generation: number | undefined = 3) =>
  statusPatch(status, { ...nothing, ...judgement }, { ...moment, generation });

describe('nothing is written', () => {
  test.each<[string, unknown, Partial<Judgement>]>([
    ['of a healthy object', undefined, {}],
    [
      'of one with others’ status',
      { conditions: [theirs], validationMessages: [theirMessage], observedGeneration: 1 },
      {},
    ],
    ['over others’ condition of one of our types', { conditions: [{ ...accepted, reason: 'Theirs' }] }, {}],
    ['over a status of an odd form', { conditions: 'no', validationMessages: { a: 1 } }, {}],
    ['where it says so already', told, { findings: [error] }],
    [
      'where an old definition dropped the generation',
      { ...told, conditions: [{ ...accepted, observedGeneration: undefined }] },
      { findings: [error] },
    ],
    ['where the generation is a text', { ...told, observedGeneration: '3' }, { findings: [error] }],
    [
      'while nobody knows about proxies',
      { conditions: [{ type: 'Programmed', status: 'False', reason: 'ProxyRejected' }] },
      { rejection: 'unknown' },
    ],
  ])('%s', (_, status, judgement) => {
    expect(patched(status, judgement)).toBeUndefined();
  });
});

describe('findings', () => {
  test('errors make it invalid', () => {
    expect(patched(undefined, { findings: [warning, error] })).toEqual({
      conditions: [
        {
          ...accepted,
          message:
            'The object has no effect. error[wrong-type] spec.hosts: must be a list; ' +
            'warning[invalid-reference] Gateway a/b does not exist (did you mean a/c?)',
          lastTransitionTime: at,
        },
      ],
      validationMessages: [message('invalid-reference', 'WARNING'), message('wrong-type', 'ERROR')],
      observedGeneration: 3,
    });
  });

  test('with a last good version the message says that it stays', () => {
    const { conditions } = patched(undefined, { findings: [error], keptLastGood: true }) ?? {};
    expect(conditions?.[0]).toMatchObject({
      message: expect.stringMatching(/^The last valid version stays in force\. /),
    });
  });

  test('warnings alone leave it accepted', () => {
    const patch = patched(undefined, { findings: [warning] });
    expect(patch?.conditions?.[0]).toMatchObject({
      status: 'True',
      reason: 'AcceptedWithWarnings',
      lastTransitionTime: at,
    });
  });

  test('the time moves with the status only', () => {
    const worse = errorOf('invalid-value', 'no', { object });
    const time = accepted.lastTransitionTime;
    expect(patched(told, { findings: [worse] })?.conditions?.[0]).toMatchObject({ lastTransitionTime: time });
    expect(patched(told, { findings: [warning] })?.conditions?.[0]).toMatchObject({ lastTransitionTime: at });
  });

  test('another generation is taken note of', () => {
    expect(patched(told, { findings: [error] }, 4)).toEqual({
      conditions: [{ ...accepted, observedGeneration: 4 }],
      observedGeneration: 4,
    });
  });

  test('are bounded in number and length, without control characters', () => {
    const many: readonly Diagnostic[] = Array.from({ length: 100 }, (_, i) =>
      warningOf('invalid-value', `${i}\u001b${'x'.repeat(10_000)}`),
    );
    const { conditions, validationMessages } = patched(undefined, { findings: many }) ?? {};
    const text = (conditions?.[0] as { message?: string } | undefined)?.message ?? '';
    expect(text.length).toBeLessThan(1_700);
    expect(text).toMatch(/; 95 more$/);
    expect(text).not.toContain('\u001b');
    expect(validationMessages?.length).toBe(1);
  });
});

describe('others', () => {
  test('stay as and where they are', () => {
    const status = { conditions: [theirs, accepted, { ...theirs, type: 'Z' }], validationMessages: [theirMessage] };
    expect(patched(status, { findings: [warning], rejection: 'route 80 is rejected' })).toMatchObject({
      conditions: [
        theirs,
        { type: 'Accepted', status: 'True' },
        { type: 'Z' },
        { type: 'Programmed', status: 'False' },
      ],
      validationMessages: [theirMessage, message('invalid-reference', 'WARNING')],
    });
  });

  test('remain when ours are taken back, with the generation of the whole', () => {
    const status = {
      ...told,
      conditions: [accepted, theirs],
      validationMessages: [theirMessage, ...told.validationMessages],
    };
    expect(patched(status, {})).toEqual({ conditions: [theirs], validationMessages: [theirMessage] });
  });
});

test('without others nothing remains of ours', () => {
  expect(patched(told, {})).toEqual({ conditions: null, validationMessages: null, observedGeneration: null });
});

test('a rejection stands beside findings, and goes by itself', () => {
  const both = patched(told, { findings: [error], rejection: 'route 80 is rejected by 1 proxy' });
  expect(both).toEqual({
    conditions: [
      accepted,
      {
        ...{ type: 'Programmed', status: 'False', reason: 'ProxyRejected', message: 'route 80 is rejected by 1 proxy' },
        ...{ lastTransitionTime: at, observedGeneration: 3 },
      },
    ],
  });
  expect(patched({ ...told, ...both }, { findings: [error] })).toEqual({ conditions: [accepted] });
});

test('a second condition of our type goes', () => {
  expect(patched({ ...told, conditions: [accepted, accepted] }, { findings: [error] })).toEqual({
    conditions: [accepted],
  });
});
