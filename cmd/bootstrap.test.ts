// Addresses that `bootstrap` takes, and what it says of those that it does not.
import { describe, expect, test, vi } from 'vitest';
import { bootstrapCommand } from './bootstrap.ts';

const run = (...flags: readonly string[]) =>
  bootstrapCommand().parseAsync(['web-1.shop', '--ip', '10.0.0.1', ...flags], { from: 'user' });

describe('addresses', () => {
  test.each([
    ['--discovery-address', 'a:b:80'],
    ['--discovery-address', ':15010'],
    ['--discovery-address', 'istiod:0'],
    ['--admin', 'localhost'],
    ['--admin', '127.0.0.1:0x50'],
    ['--health', '::1:80'],
    ['--prometheus', '0.0.0.0:65536'],
  ])('%s %s is refused with its flag', async (flag, text) => {
    await expect(run(flag, text)).rejects.toThrow(`${flag} ${text}: want host:port`);
  });

  test('of IPv6 and without a port are taken', async () => {
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await run('--discovery-address', 'istiod', '--admin', '[::1]:15000', '--health', '[::]:15021');
    const text = printed.mock.calls.flat().join('\n');
    printed.mockRestore();
    for (const place of ['"istiod"', '"::1"', '"::"']) expect(text).toContain(`"address": ${place}`);
  });
});
