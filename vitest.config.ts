import { defineConfig } from 'vitest/config';
import { LOOK_UP_READER } from './test/support/models.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: one file at a time keeps Chromium and ONNX Runtime from starving each other.
    fileParallelism: false,
    pool: 'forks',
    env: { GLYPHPRESS_MODEL: LOOK_UP_READER },
  },
});
