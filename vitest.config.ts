import { defineConfig } from 'vitest/config';
import { LOOK_UP_READER } from './test/support/models.js';

/**
 * Tests that start programs, browsers, servers or models, or change what belongs to their process
 * (environment, mocks): each file in a process of its own.
 */
const WHOLE = [
  'test/{cli,environment,library,queue,server,service}/**/*.test.ts',
  'test/quickstart.test.ts',
  'test/deploy/proxies.test.ts',
  'test/eval/{cli,run}.test.ts',
  'test/pipeline/backends/{compress,live-contexts,question-first,text}.test.ts',
  'test/pipeline/exact-values/sidecar-context.test.ts',
  'test/pipeline/expanding/{expanding-backend,passages-first}.test.ts',
  'test/pipeline/predict-tokens.test.ts',
  'test/render/{isolation,line-overlap,rendering}.test.ts',
  'test/search/{reader-search,report-on-a-phone,server-search,trial-evaluator}.test.ts',
  'test/store/scratch-folder.test.ts',
  'test/vlm/{attend,drops,gguf-model,hub,memory,model,question-first,reader-parity,weights}.test.ts',
];

const shared = {
  pool: 'forks',
  testTimeout: 120_000,
  hookTimeout: 120_000,
  env: { GLYPHPRESS_MODEL: LOOK_UP_READER },
  setupFiles: 'test/support/property-seed.ts',
} as const;

export default defineConfig({
  test: {
    globalSetup: 'test/support/global-setup.ts',
    projects: [
      {
        test: {
          ...shared,
          name: 'units',
          include: ['test/**/*.test.ts'],
          exclude: WHOLE,
          // Starting a process and loading the sources again would take longer than most of these tests.
          isolate: false,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'whole',
          include: WHOLE,
          // They wait for one another's processes half of the time: two files share two cores well.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
