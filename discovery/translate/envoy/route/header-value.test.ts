// Percent signs in header values: commands stay, everything else becomes text.
import { expect, test } from 'vitest';
import { headerValue } from './header-value.ts';

test.each([
  ['plain', 'plain'],
  ['%REQ(x-a)%', '%REQ(x-a)%'],
  ['a %DOWNSTREAM_REMOTE_ADDRESS% b', 'a %DOWNSTREAM_REMOTE_ADDRESS% b'],
  ['%REQ(x):10% and 100%', '%REQ(x):10% and 100%%'],
  ['a%b%', 'a%%b%%'],
  ['%NO_SUCH%', '%%NO_SUCH%%'],
  ['100%%', '100%%'],
])('%s becomes %s', (value, expected) => {
  expect(headerValue(value)).toBe(expected);
});
