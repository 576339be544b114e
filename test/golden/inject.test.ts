// Goldens of injection: manifests in, manifests out, as `kube-inject` writes them. UPDATE_GOLDEN=1 rewrites them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSettings } from '../../webhook/config-map.ts';
import { injectText } from '../../webhook/kube-inject.ts';
import { emptyCluster } from '../support/webhook.ts';

const folder = join(import.meta.dirname, 'inject');
const cases = readdirSync(folder).sort();

/** A case's folder: `input.yaml`, optional `values.yaml`, `mesh.yaml` and `config.yaml`, and `expected.yaml`. */
function settingsOf(name: string) {
  const text = (file: string) => {
    try {
      return { [file]: readFileSync(join(folder, name, `${file}.yaml`), 'utf8') };
    } catch {
      return {};
    }
  };
  const sources = { ...text('values'), ...text('mesh'), ...text('config') };
  const read = readSettings(sources, {
    revision: '',
    nativeSidecars: name.includes('native') ? 'enabled' : 'disabled',
    compliancePolicy: '',
    openShift: false,
  });
  if ('diagnostics' in read) throw new Error(JSON.stringify(read.diagnostics));
  return read.settings;
}

test.each(cases)('%s', (name) => {
  const input = readFileSync(join(folder, name, 'input.yaml'), 'utf8');
  const { output, diagnostics } = injectText('input.yaml', input, settingsOf(name), emptyCluster);
  expect(diagnostics).toEqual([]);
  const golden = join(folder, name, 'expected.yaml');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, output ?? '');
  expect(output).toBe(readFileSync(golden, 'utf8'));
});

test('nothing lies about that no case reads', () => {
  const known = ['config.yaml', 'expected.yaml', 'input.yaml', 'mesh.yaml', 'values.yaml'];
  const strays = cases.flatMap((name) => readdirSync(join(folder, name)).filter((file) => !known.includes(file)));
  expect(strays).toEqual([]);
});
