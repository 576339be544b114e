// A process that begins and drives root rotations as fast as it can, to be killed at any moment by a test.
import { Authority } from '../../certs/authority.ts';
import { caDirectory } from '../../certs/ca-directory.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { alone, beginRotation, rotationDriver } from '../../certs/rotation-driver.ts';
import { selfSignedSource } from '../../certs/self-signed.ts';
import { accepted, rootOptions } from './certificate-server.ts';

const store = caDirectory(process.argv[2] ?? '');
const source = selfSignedSource(store, rootOptions, systemEnvironment);
const authority = accepted(await Authority.open(source, systemEnvironment));
const driver = rotationDriver(
  authority,
  store,
  () => [],
  { minimumStep: 0, monotonic: () => performance.now(), replicas: alone },
  systemEnvironment,
);
process.stdout.write('ready\n');
for (;;) {
  if ((await driver.tick()) === 'steady') {
    await beginRotation(store, rootOptions, systemEnvironment);
    process.stdout.write('rotation\n');
  }
}
