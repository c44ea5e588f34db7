/** The model worker and the command line run from dist: build it, so that `npx vitest` alone is enough. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './repository.js';

export default function build(): void {
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status === 0) return;
  if (!existsSync(path.join(ROOT, 'dist/src/cli/main.js'))) throw new Error(`No build:\n${stdout}`);
  // A wrong type does not keep code from running; `npm run typecheck` is what fails on it.
  process.stderr.write(`The build has errors; tests go on with what it made.\n${stdout}\n`);
}
