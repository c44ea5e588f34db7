/**
 * Property tests draw the same cases in every run, so that a change fails for what it changed.
 * PROPERTY_SEED=random draws others, a number those of that seed.
 */

import fc from 'fast-check';

const { PROPERTY_SEED = '20261127' } = process.env;
if (PROPERTY_SEED !== 'random') fc.configureGlobal({ seed: Number(PROPERTY_SEED) });
