/** The command line: one file per command, wired here. */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerAsk } from './ask.js';
import { registerCompress } from './compress.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { reportFailure } from './failure.js';
import { registerKeys } from './keys.js';
import { registerModel } from './model.js';
import { registerPlans } from './plans.js';
import { registerProofread } from './proofread.js';
import { registerRender } from './render.js';
import { registerSearch } from './search.js';
import { registerServe } from './serve.js';
import { registerTranscribe } from './transcribe.js';
import { registerWorker } from './worker.js';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

const program = new Command('glyphpress')
  .description(description)
  .version(version)
  .showHelpAfterError('(glyphpress --help lists the commands)')
  // Options belong to the command that they stand behind.
  .enablePositionalOptions()
  .exitOverride();

registerAsk(program);
registerCompress(program);
registerEval(program);
registerRender(program);
registerTranscribe(program);
registerProofread(program);
registerModel(program);
registerPlans(program);
registerSearch(program);
registerServe(program);
registerWorker(program);
registerKeys(program);
registerDoctor(program);

// A reader that has seen enough (`| head`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, process.argv.includes('--json'));
}
