// A root rotation survives kill -9 at any moment: the record is always whole, and the next process goes on from its step.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Authority } from '../../certs/authority.ts';
import { bundlesOverlap } from '../../certs/bundle.ts';
import { caDirectory } from '../../certs/ca-directory.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { alone, rotationDriver } from '../../certs/rotation-driver.ts';
import { selfSignedSource } from '../../certs/self-signed.ts';
import { accepted, rootOptions } from '../support/certificate-server.ts';

test('kill -9 in every step', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'rotation-'));
  const store = caDirectory(directory);
  const open = async () =>
    accepted(await Authority.open(selfSignedSource(store, rootOptions, systemEnvironment), systemEnvironment));
  const steps = new Set<string>();
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../support/rotate-forever.ts'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await sleep(10 + round * 7);
    using before = await open();
    child.kill('SIGKILL');
    await once(child, 'exit');
    using authority = await open();
    steps.add(authority.state.rotation.step);
    // However far the killed process came since, it can only have taken whole steps.
    const { signer, bundle, rotation } = authority.state;
    expect(bundle.roots.length).toBe(rotation.step === 'steady' ? 1 : 2);
    expect(bundle.roots.some((root) => root.publicKeyInfo.equals(signer.certificate.publicKeyInfo))).toBe(true);
    expect(before.state.bundle.roots.length).toBeGreaterThan(0);
    expect((await readdir(directory)).filter((name) => name.endsWith('.json')).length).toBe(1);
  }
  expect(steps.size).toBeGreaterThan(1);

  using authority = await open();
  const driver = rotationDriver(
    authority,
    store,
    () => [],
    { minimumStep: 0, monotonic: () => performance.now(), replicas: alone },
    systemEnvironment,
  );
  let trusted = authority.state.bundle;
  while (authority.state.rotation.step !== 'steady') {
    await driver.tick();
    expect(bundlesOverlap(trusted, authority.state.bundle)).toBe(true);
    trusted = authority.state.bundle;
  }
  await rm(directory, { recursive: true });
}, 120_000);
