/** Options of the commands that search, and what they come to. */

import path from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { PromptStyle } from '../eval/index.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import {
  DEFAULT_PRESET,
  loadRenderConfig,
  type RawRenderConfig,
  type RenderConfig,
} from '../render/index.js';
import {
  CACHE_FOLDER,
  type Evaluator,
  EvolutionProposer,
  LlmChat,
  LlmProposer,
  loadSpace,
  ModelEvaluator,
  type Proposer,
  RandomProposer,
  referenceCandidates,
  type SearchSetting,
  type SearchTasks,
  ServerEvaluator,
  Space,
  TRANSCRIPT_FILE,
  Transcript,
} from '../search/index.js';
import { type BackendFlags, openAiBackendOf, withBackendOptions } from './backend-options.js';
import {
  assertAttends,
  assertExpandsHere,
  assertReadsPages,
  type ExpandFlags,
  expandSettings,
  withExpandOptions,
} from './expand-options.js';
import { type ModelFlags, openModel, warnIfUntrained } from './model-options.js';
import { wholeNumber } from './options.js';
import { SEARCH_SUITES, type TaskFlags } from './search-tasks.js';

export const PROPOSERS = ['llm', 'evolution', 'random'] as const;
export type ProposerName = (typeof PROPOSERS)[number];

export interface SearchFlags
  extends TaskFlags,
    BackendFlags,
    ExpandFlags,
    Pick<ModelFlags, 'model' | 'threads'> {
  budget: number;
  proposer: ProposerName;
  minRatio: number;
  space?: string;
  generation?: number;
  patience: number;
  cache?: string;
  concurrency: number;
  maxTokens: number;
  out?: string;
  workers?: number;
  json?: boolean;
}

export function withSearchOptions(command: Command): Command {
  const searching = withBackendOptions(
    command
      .addOption(
        new Option('--suite <name>', 'questions made here (default: quick)').choices(SEARCH_SUITES),
      )
      .option('--tasks <file>', 'questions from a JSONL file: RULER, MRCR, LongBench or own shape')
      .option('--limit <n>', 'only the first lines of --tasks', wholeNumber(4, 1_000_000))
      .addOption(
        new Option('--haystack <input>', 'texts to hide values in: files or folders (repeatable)')
          .argParser((value: string, all: string[]) => [...all, value])
          .default([], 'made-up prose'),
      )
      .option(
        '--samples <n>',
        'train texts; as many to choose by, twice as many to report',
        wholeNumber(1, 1_000),
        2,
      )
      .option('--questions <n>', 'questions about each text', wholeNumber(1, 100), 6)
      .option(
        '--pages <n>',
        'length of a text, in pages of the default rendering',
        wholeNumber(1, 100),
        1,
      )
      .option(
        '--model <dir>',
        'model folder, or its name on the server (default: the reader that ships)',
      )
      .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
      .option('--budget <n>', 'configurations to look at', wholeNumber(4, 100_000), 200)
      .addOption(
        new Option('--proposer <kind>', 'who says what to try next')
          .choices(PROPOSERS)
          .default('evolution'),
      )
      .option('--min-ratio <r>', 'text ÷ context tokens that every result must reach', ratio, 1)
      .option('--seed <n>', 'seed of texts, values and choices', wholeNumber(0, 2 ** 32 - 1), 1)
      .option('--space <file>', 'narrows or fixes axes (JSON)')
      .option(
        '--generation <n>',
        'trials of a generation (default: a tenth of the budget, 4 to 20)',
        wholeNumber(1, 1_000),
      )
      .option(
        '--patience <n>',
        'generations without gain that end the search',
        wholeNumber(1, 1_000),
        5,
      )
      .option(
        '--cache <dir>',
        'pages and results, to be shared by several searches (default: in the run)',
      )
      .option('--concurrency <n>', 'texts that a server gets side by side', wholeNumber(1, 256), 4)
      .option('--max-tokens <n>', 'longest answer of a server', wholeNumber(1, 100_000), 4096)
      .option('--json', 'print the summary as JSON'),
  );
  return withExpandOptions(searching, 'off: pages alone');
}

/** What trials are tried with, opened once for one or several searches. */
export interface Bench {
  evaluator: Evaluator;
  /** The rendering that the model was trained to read, if it names one. */
  trained: RawRenderConfig | null;
  /** A page of it is the length of a text. */
  defaultConfig: RenderConfig;
  style: PromptStyle;
}

export async function withBench<T>(
  flags: SearchFlags,
  cache: string,
  work: (bench: Bench) => Promise<T>,
): Promise<T> {
  checkFlags(flags);
  const shared = { cache, chromium: chromiumOptions };
  if (flags.backend === 'openai') {
    const { concurrency, maxTokens: maxNewTokens } = flags;
    const evaluator = new ServerEvaluator(openAiBackendOf(flags), {
      ...shared,
      concurrency,
      maxNewTokens,
      expand: expandSettings(flags, countTextTokens),
    });
    return work({ evaluator, trained: null, defaultConfig: loadRenderConfig(), style: 'full' });
  }
  assertExpandsHere(flags);
  const model = await openModel(flags.model ?? DEFAULT_MODEL, flags);
  try {
    warnIfUntrained(model.info);
    assertReadsPages(model.info, flags);
    assertAttends(model, flags);
    const expand = expandSettings(flags, (text) => model.countTokens(text));
    const { rendering } = model.info;
    return await work({
      evaluator: new ModelEvaluator(model, { ...shared, expand }),
      trained: rendering,
      defaultConfig: loadRenderConfig(rendering ?? DEFAULT_PRESET),
      style: rendering ? 'bare' : 'full',
    });
  } finally {
    await model.close();
  }
}

/** Default number of trials per generation: a tenth of the budget, within bounds. */
const GENERATION = { share: 0.1, min: 4, max: 20 };

export function searchSettingOf(
  flags: SearchFlags,
  { evaluator, trained }: Bench,
  tasks: SearchTasks,
  proposer: Proposer,
): SearchSetting {
  const canPrune = evaluator.layers !== null;
  const space =
    flags.space === undefined
      ? new Space(undefined, canPrune)
      : loadSpace(flags.space, { canPrune });
  const { seed, budget, patience, minRatio } = flags;
  const { share, min, max } = GENERATION;
  return {
    space,
    tasks,
    evaluator,
    proposer,
    references: referenceCandidates(space, trained, evaluator.layers),
    defaultConfig: trained,
    seed,
    budget,
    patience,
    minRatio,
    generation: flags.generation ?? Math.max(min, Math.min(max, Math.round(budget * share))),
  };
}

/** @param folder for the transcript of a language model */
export function proposerOf(name: ProposerName, tasks: SearchTasks, folder: string): Proposer {
  if (name === 'random') return new RandomProposer();
  const questions = tasks.train.reduce((sum, { questions }) => sum + questions.length, 0);
  const evolution = new EvolutionProposer(questions);
  if (name === 'evolution') return evolution;
  const transcript = new Transcript(path.join(folder, TRANSCRIPT_FILE));
  return new LlmProposer(llmOf(), evolution, transcript, questions);
}

/** @throws {GlyphpressError} GP_USAGE where the environment does not name a server and a model */
function llmOf(env = process.env): LlmChat {
  const { GLYPHPRESS_LLM_BASE_URL: baseUrl, GLYPHPRESS_LLM_MODEL: model } = env;
  if (!baseUrl || !model) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--proposer llm needs GLYPHPRESS_LLM_BASE_URL and GLYPHPRESS_LLM_MODEL',
      hint: 'Set them to an OpenAI-compatible server, or take --proposer evolution, which needs none.',
    });
  }
  // Keys of other servers are not for this one.
  const apiKey = env.GLYPHPRESS_LLM_API_KEY;
  return new LlmChat({ baseUrl, model, ...(apiKey && { apiKey }) });
}

function checkFlags(flags: SearchFlags): void {
  const conflict = (message: string, hint: string) => {
    throw new GlyphpressError('GP_USAGE', { message, hint });
  };
  if (flags.suite && flags.tasks !== undefined)
    conflict('--suite and --tasks both say what to ask', 'Give one of them.');
  if (flags.tasks === undefined && flags.limit !== undefined)
    conflict('--limit goes with --tasks', 'Leave it out: --samples and --questions size a suite.');
}

/** Not a required option of commander's: the commands below would need it too. */
export function folderOf({ out }: Partial<SearchFlags>): string {
  if (out !== undefined) return out;
  throw new GlyphpressError('GP_USAGE', {
    message: 'search needs a folder for its trials and its report',
    hint: 'Give one with -o, for example -o run.',
  });
}

/** Of one search, unless several share one. */
export const cacheOf = (flags: Pick<SearchFlags, 'cache'>, folder: string) =>
  path.resolve(flags.cache ?? path.join(folder, CACHE_FOLDER));

function ratio(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1_000))
    throw new InvalidArgumentError('Expected a number above 0 and at most 1000.');
  return value;
}
