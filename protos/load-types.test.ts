// Types that are loaded by name are those of the whole registry.
import { expect, test } from 'vitest';
import { typeFiles } from './gen/type-files.js';
import { loadTypes } from './load-types.ts';
import { registry } from './registry.ts';

test('every message of the registry can be loaded by its name', async () => {
  const messages = [...registry].filter((type) => type.kind === 'message').map(({ typeName }) => typeName);
  expect(Object.keys(typeFiles).sort()).toEqual(messages.sort());
  const lua = 'envoy.extensions.filters.http.lua.v3.Lua';
  const loaded = await loadTypes([lua, lua, 'no.such.Type', 'toString']);
  expect(loaded.getMessage(lua)).toBe(registry.getMessage(lua));
  expect(loaded.getMessage('envoy.config.cluster.v3.Cluster')).toBeUndefined();
});
