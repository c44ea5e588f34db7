/** The command line: one file per command, wired here. */

import { Command } from 'commander';
import { packageJson } from '../package-file.js';
import { registerAsk } from './ask.js';
import { registerCache } from './cache.js';
import { registerCompletion } from './completion.js';
import { registerCompress } from './compress.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { registerKeys } from './keys.js';
import { registerModel } from './model.js';
import { registerModels } from './models.js';
import { registerPlans } from './plans.js';
import { registerProofread } from './proofread.js';
import { registerRender } from './render.js';
import { registerSearch } from './search.js';
import { registerServe } from './serve.js';
import { applySettings } from './setting-defaults.js';
import { registerTranscribe } from './transcribe.js';
import { registerWorker } from './worker.js';

const { version, description } = packageJson();

/** Every command, with its options and its help; nothing runs before `parseAsync`. */
export function makeProgram(): Command {
  const program = new Command('glyphpress')
    .description(description)
    .version(version, '-v, --version')
    .showHelpAfterError('(glyphpress --help lists the commands)')
    // Options belong to the command that they stand behind.
    .enablePositionalOptions()
    .exitOverride()
    .hook('preAction', (_, command) => applySettings(command));

  registerAsk(program);
  registerCompress(program);
  registerEval(program);
  registerRender(program);
  registerTranscribe(program);
  registerProofread(program);
  registerModel(program);
  registerModels(program);
  registerPlans(program);
  registerSearch(program);
  registerServe(program);
  registerWorker(program);
  registerKeys(program);
  registerCache(program);
  registerDoctor(program);
  registerCompletion(program);
  return program;
}
