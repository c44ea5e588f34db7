import { defineConfig } from 'vitest/config';
import { LOOK_UP_READER } from './test/support/models.js';

/** `npm run test:chaos`: the real service under faults; see docs/results/reliability.md. */
export default defineConfig({
  test: {
    include: ['test/chaos/**/*.chaos.ts'],
    globalSetup: 'test/support/global-setup.ts',
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    pool: 'forks',
    env: { GLYPHPRESS_MODEL: LOOK_UP_READER },
    disableConsoleIntercept: true,
  },
});
