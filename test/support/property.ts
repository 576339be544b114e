// fast-check with the same random numbers in each run, so that what fails in CI fails here too; TEST_SEED=<number> gives
// others.
import fc from 'fast-check';

const usualSeed = 20261123;
const seed = Number(process.env['TEST_SEED'] ?? usualSeed);

fc.configureGlobal({ seed });

/** Whether these are the cases of each run: others may not show everything that a test wants to have seen. */
export const isUsualSeed = seed === usualSeed;
export { fc };
