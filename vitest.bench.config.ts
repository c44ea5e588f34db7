import { defineConfig } from 'vitest/config';

/** `npm run bench`: each file answers one question and ends with one JSON line. */
export default defineConfig({
  test: {
    include: ['test/bench/**/*.bench.ts'],
    testTimeout: 1_800_000,
    fileParallelism: false,
    pool: 'forks',
    disableConsoleIntercept: true,
  },
});
