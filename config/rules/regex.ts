// Rules of regular expressions of users: RE2's syntax, of bounded length, compiled only by RE2.
import { RE2JS } from '@bufbuild/re2';
import { type Findings, fine, invalid } from './finding.ts';

/** Istio refuses longer ones: Envoy compiles every pattern again on each worker. */
const longest = 1024;

/** Checks a regular expression; `subject` names what it is compared with. */
export function checkRegex(pattern: string, path: string, subject = 'regex'): Findings {
  if (Buffer.byteLength(pattern) > longest) {
    return invalid(path, `${subject}: regex is too large, at most ${longest} bytes are allowed`);
  }
  const problem = problemOf(pattern);
  if (problem === undefined) return fine;
  return invalid(path, `${subject}: ${problem}`, 'write it in the syntax of RE2 (github.com/google/re2/wiki/Syntax)');
}

function problemOf(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 200) : 'is not a regular expression';
  }
}
