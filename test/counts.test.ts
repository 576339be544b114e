// That no failure of a suite can be lost on the way to the last line of `npm test`.
import { expect, test } from 'vitest';
import { countsOf, failuresOf, formatCounts, noCounts, sumOf } from './counts.ts';

const report = (numbers: object, testResults: readonly object[] = []) =>
  JSON.stringify({
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults,
    ...numbers,
  });

const lastLine = (exitCode: number, output: string, known?: number) =>
  countsOf('last line', { exitCode, output }, known);
const vitest = (exitCode: number, text?: string) => countsOf('vitest report', { exitCode, output: '', report: text });

test.each([
  ['a check that passed', countsOf('exit code', { exitCode: 0, output: '' }), '1 passed, 0 failed'],
  ['a check that failed', countsOf('exit code', { exitCode: 2, output: '' }), '0 passed, 1 failed'],
  ['the last of several lines', lastLine(0, '1 passed, 1 failed\n\n5 passed, 0 failed\n'), '5 passed, 0 failed'],
  ['a line with skipped ones', lastLine(1, '5 passed, 2 failed, 3 skipped'), '5 passed, 2 failed, 3 skipped'],
  ['a suite that says nothing', lastLine(0, 'hello'), '0 passed, 1 failed'],
  ['a suite that passed all and crashed', lastLine(139, '5 passed, 0 failed'), '5 passed, 1 failed'],
  ['as many failures as are known', lastLine(1, '5 passed, 2 failed, 3 skipped', 2), '5 passed, 0 failed, 5 skipped'],
  ['more failures than are known', lastLine(1, '5 passed, 3 failed', 2), '5 passed, 3 failed'],
  ['a crash where failures are known', lastLine(1, '5 passed, 0 failed', 2), '5 passed, 1 failed'],
  [
    'a vitest report',
    vitest(1, report({ numPassedTests: 4, numFailedTests: 1, numPendingTests: 2 })),
    '4 passed, 1 failed, 2 skipped',
  ],
  [
    'a test file that does not load',
    vitest(1, report({ numPassedTests: 4 }, [{ status: 'failed', assertionResults: [] }])),
    '4 passed, 1 failed',
  ],
  ['an error outside tests', vitest(1, report({ numPassedTests: 4 })), '4 passed, 1 failed'],
  ['no vitest report', vitest(1), '0 passed, 1 failed'],
  ['a vitest report cut short', vitest(0, '{'), '0 passed, 1 failed'],
])('%s', (_, counts, expected) => {
  expect(formatCounts(counts)).toBe(expected);
});

test('counts add up', () => {
  expect(sumOf([])).toEqual(noCounts);
  const one = { passed: 1, failed: 2, skipped: 3, known: 4 };
  expect(sumOf([one, one])).toEqual({ passed: 2, failed: 4, skipped: 6, known: 8 });
});

test('failures are told with their file, name and first message', () => {
  const ended = {
    exitCode: 1,
    output: 'FAIL case-1: why\n1 passed, 1 failed\n',
    report: report({}, [
      {
        name: 'a.test.ts',
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'good' },
          { status: 'failed', fullName: 'bad', failureMessages: ['expected 1 to be 2', 'more'] },
        ],
      },
      { name: 'b.test.ts', status: 'failed', message: 'does not load', assertionResults: [] },
      { name: 'c.test.ts', status: 'passed', assertionResults: [] },
    ]),
  };
  expect(failuresOf('vitest report', ended)).toEqual([
    'a.test.ts: bad: expected 1 to be 2',
    'b.test.ts: does not load',
  ]);
  expect(failuresOf('vitest report', { ...ended, report: '{' })).toEqual([]);
  expect(failuresOf('vitest report', { ...ended, report: undefined })).toEqual([]);
  expect(failuresOf('last line', ended)).toEqual(['FAIL case-1: why']);
  expect(failuresOf('exit code', ended)).toEqual([]);
});
