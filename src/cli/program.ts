/** The command line: one file per command, wired here. */

import { Command } from 'commander';
import { packageJson } from '../package-file.js';
import { applySettings } from './setting-defaults.js';

const { version, description } = packageJson();

type Register = (program: Command) => void;

/** In the order of the help. Loaded one by one: each brings in a good part of the program. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  ask: async () => (await import('./ask.js')).registerAsk,
  compress: async () => (await import('./compress.js')).registerCompress,
  eval: async () => (await import('./eval.js')).registerEval,
  render: async () => (await import('./render.js')).registerRender,
  transcribe: async () => (await import('./transcribe.js')).registerTranscribe,
  proofread: async () => (await import('./proofread.js')).registerProofread,
  model: async () => (await import('./model.js')).registerModel,
  models: async () => (await import('./models.js')).registerModels,
  plans: async () => (await import('./plans.js')).registerPlans,
  search: async () => (await import('./search.js')).registerSearch,
  serve: async () => (await import('./serve.js')).registerServe,
  worker: async () => (await import('./worker.js')).registerWorker,
  keys: async () => (await import('./keys.js')).registerKeys,
  cache: async () => (await import('./cache.js')).registerCache,
  doctor: async () => (await import('./doctor.js')).registerDoctor,
  // Last: what it completes is the commands before it.
  completion: async () => (await import('./completion.js')).registerCompletion,
};

/**
 * The commands with their options and their help; nothing runs before `parseAsync`.
 *
 * @param word the first argument: when it names a command, only that one is loaded, which is quicker;
 *   without it, and for all other words, all are
 */
export async function makeProgram(word?: string): Promise<Command> {
  const program = new Command('glyphpress')
    .description(description)
    .version(version, '-v, --version')
    .showHelpAfterError('(glyphpress --help lists the commands)')
    // Options belong to the command that they stand behind.
    .enablePositionalOptions()
    .exitOverride()
    .hook('preAction', (_, command) => applySettings(command));
  for (const name of namesToLoad(word)) (await COMMANDS[name]!())(program);
  return program;
}

function namesToLoad(word: string | undefined): readonly string[] {
  // The version is printed before any command is looked for.
  if (word === '--version' || word === '-v') return [];
  const alone = word !== undefined && word !== 'completion' && Object.hasOwn(COMMANDS, word);
  return alone ? [word] : Object.keys(COMMANDS);
}
