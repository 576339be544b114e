// That no failure of a suite can be lost on the way to the last line of `npm test`.
import { expect, test } from 'vitest';
import { countsOf, formatCounts, noCounts, sumOf } from './counts.ts';

const report = (numbers: object, testResults: readonly object[] = []) =>
  JSON.stringify({
    numPassedTests: 0,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults,
    ...numbers,
  });

test.each([
  ['a check that passed', countsOf('exit code', 0, '', undefined), '1 passed, 0 failed'],
  ['a check that failed', countsOf('exit code', 2, '', undefined), '0 passed, 1 failed'],
  [
    'the last of several lines',
    countsOf('last line', 0, '1 passed, 1 failed\n\n5 passed, 0 failed\n', undefined),
    '5 passed, 0 failed',
  ],
  [
    'a line with skipped ones',
    countsOf('last line', 1, '5 passed, 2 failed, 3 skipped', undefined),
    '5 passed, 2 failed, 3 skipped',
  ],
  ['a suite that says nothing', countsOf('last line', 0, 'hello', undefined), '0 passed, 1 failed'],
  [
    'a suite that passed all and crashed',
    countsOf('last line', 139, '5 passed, 0 failed', undefined),
    '5 passed, 1 failed',
  ],
  [
    'a score reached',
    countsOf('last line, held to a score', 0, '5 passed, 2 failed, 3 skipped', undefined),
    '5 passed, 0 failed, 5 skipped',
  ],
  ['a score missed', countsOf('last line, held to a score', 1, '5 passed, 2 failed', undefined), '5 passed, 2 failed'],
  [
    'a vitest report',
    countsOf('vitest report', 1, '', report({ numPassedTests: 4, numFailedTests: 1, numPendingTests: 2 })),
    '4 passed, 1 failed, 2 skipped',
  ],
  [
    'a test file that does not load',
    countsOf('vitest report', 1, '', report({ numPassedTests: 4 }, [{ status: 'failed', assertionResults: [] }])),
    '4 passed, 1 failed',
  ],
  ['no vitest report', countsOf('vitest report', 1, '', undefined), '0 passed, 1 failed'],
  ['a vitest report cut short', countsOf('vitest report', 0, '', '{'), '0 passed, 1 failed'],
])('%s', (_, counts, expected) => {
  expect(formatCounts(counts)).toBe(expected);
});

test('counts add up', () => {
  expect(sumOf([])).toEqual(noCounts);
  const one = { passed: 1, failed: 2, skipped: 3, known: 4 };
  expect(sumOf([one, one])).toEqual({ passed: 2, failed: 4, skipped: 6, known: 8 });
});
