// YAML within limits: positions, bombs, depth, and texts that are none.
import { expect, test } from 'vitest';
import { parseYaml, partsOfPath } from './yaml.ts';

const codes = (text: string): readonly string[] => parseYaml('f.yaml', text).diagnostics.map((d) => d.code);

test('gives values with positions, keys with dots included', () => {
  const [document] = parseYaml(
    'f.yaml',
    'metadata:\n  labels:\n    a.b/c: x\nspec:\n  http:\n    - match: []\n',
  ).documents;
  expect(document?.positionOf('metadata.labels.a.b/c')).toEqual({ file: 'f.yaml', line: 3, column: 5 });
  expect(document?.positionOf('spec.http[0].match')).toEqual({ file: 'f.yaml', line: 6, column: 7 });
  expect(document?.positionOf('spec.http[7].nothing')).toEqual({ file: 'f.yaml', line: 5, column: 3 });
});

test('splits paths', () => {
  expect(partsOfPath('spec.http[0].route[12].weight')).toEqual(['spec', 'http', 0, 'route', 12, 'weight']);
});

test('one broken document does not cost the others', () => {
  const { documents, diagnostics } = parseYaml('f.yaml', 'a: 1\n---\nb: [\n---\nc: 3\n');
  expect(documents.map((d) => d.value)).toContainEqual({ a: 1 });
  expect(diagnostics[0]).toMatchObject({ code: 'yaml-syntax', position: { file: 'f.yaml' } });
});

test.each([
  ['duplicate keys', 'a: 1\na: 2\n', 'yaml-syntax'],
  [
    'alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
      .split('')
      .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghij'[i]}`).join(',')}]`)
      .join('\n')}\n`,
    'yaml-limit',
  ],
  ['deep flow', '['.repeat(5_000), 'yaml-limit'],
  ['deep blocks', Array.from({ length: 150 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), 'yaml-limit'],
])('refuses %s', (_name, text, code) => {
  expect(codes(text)).toContain(code);
});

test('brackets in text are no nesting', () => {
  expect(codes(`a: "${'['.repeat(500)}"\n`)).toEqual([]);
});

test('prototype keys are plain keys of a plain object', () => {
  const [document] = parseYaml('f.yaml', '__proto__: { polluted: true }\n').documents;
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(Object.keys(document?.value as object)).toEqual(['__proto__']);
});
