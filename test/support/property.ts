// fast-check with the same cases in each run, so that what fails in CI fails here too; TEST_SEED=<number> gives others.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['TEST_SEED'] ?? 20261123) });

export { fc };
