/** The command line: one file per command, wired here. */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { registerAsk } from './ask.js';
import { registerCompress } from './compress.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { reportFailure } from './failure.js';
import { registerModel } from './model.js';
import { registerRender } from './render.js';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string; description: string };

const program = new Command('glyphpress')
  .description(description)
  .version(version)
  .showHelpAfterError('(glyphpress --help lists the commands)')
  .exitOverride();

registerAsk(program);
registerCompress(program);
registerEval(program);
registerRender(program);
registerModel(program);
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
