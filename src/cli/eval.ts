import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import {
  type Asker,
  charactersPerPage,
  DEFAULT_QUESTIONS_PER_DOCUMENT,
  type EvalPlan,
  ExpansionAsker,
  haystackFrom,
  heatMap,
  loadTasks,
  METRIC_NAMES,
  type MeasurePage,
  type MetricName,
  ModelAsker,
  makeReport,
  PROMPT_STYLES,
  type PromptStyle,
  planExpansion,
  planReaderSuite,
  planSuites,
  reportTable,
  ServerAsker,
  type SuiteSetting,
  TASK_SUITES,
  type TaskSuite,
} from '../eval/index.js';
import { makeFolderSync } from '../output-folder.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import { planId } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { Calibrations } from '../vlm/index.js';
import { type BackendFlags, openAiBackendOf, withBackendOptions } from './backend-options.js';
import { registerCurve } from './curve.js';
import { naturalPlan, naturalReport } from './eval-natural.js';
import {
  assertExpandsHere,
  type ExpandFlags,
  expandSettings,
  withExpandOptions,
} from './expand-options.js';
import { type InputFlags, readHaystack, withInputOptions } from './input-options.js';
import { interruptible } from './interrupt.js';
import {
  askedSettings,
  type ModelFlags,
  openModel,
  type SidecarFlags,
  settingsFor,
  warnIfUntrained,
  withModelOptions,
  withSidecarOption,
} from './model-options.js';
import {
  collect,
  numberList,
  pageCounts,
  type RenderFlags,
  renderConfigOf,
  wholeNumber,
  withRenderOptions,
} from './options.js';
import { Progress } from './progress.js';
import { runQuestions } from './question-run.js';

const QUICK_SUITES: readonly TaskSuite[] = ['lookup', 'hex', 'absent', 'transcribe'];
const SUITES = ['reader', 'natural', 'expansion', 'quick', 'all', ...TASK_SUITES] as const;
type SuiteName = (typeof SUITES)[number];

/** Of suites that ask one document of each length unless told otherwise. */
const DEFAULT_PAGES: Partial<Record<SuiteName, number[]>> = {
  reader: [1, 8],
  quick: [1],
  expansion: [1, 8, 16],
};

interface Flags
  extends InputFlags,
    RenderFlags,
    ModelFlags,
    BackendFlags,
    SidecarFlags,
    ExpandFlags {
  suite?: SuiteName;
  tasks?: string;
  pages?: number[];
  depths: number[];
  samples?: number;
  documents?: number;
  seed: number;
  haystack: string[];
  prompt?: PromptStyle;
  metric?: MetricName;
  limit?: number;
  maxTokens?: number;
  concurrency: number;
  out?: string;
  json?: boolean;
}

export function registerEval(program: Command): void {
  const evaluation = withBackendOptions(
    withSidecarOption(
      withModelOptions(
        withRenderOptions(
          program
            .command('eval')
            .description('measure how well a model reads and finds, by length and depth')
            .addOption(
              new Option('--suite <name>', 'tasks made here (default: reader)').choices(SUITES),
            )
            .option(
              '--tasks <file>',
              'tasks from a JSONL file: RULER, MRCR, LongBench or own shape',
            )
            .option(
              '--pages <list>',
              'lengths of documents (default: 1,2,4; reader 1,8; quick 1; natural all)',
              pageCounts,
            )
            .addOption(
              new Option('--depths <list>', 'where needles are hidden, in percent')
                .argParser(percents)
                .default([0, 0.25, 0.5, 0.75, 1], '0,25,50,75,100'),
            )
            .option(
              '--samples <n>',
              'documents for each length (default: 4; reader and quick 1); natural: questions of each document (default: 5)',
              wholeNumber(1, 10_000),
            )
            .option('--documents <n>', 'natural: number of its documents', wholeNumber(1, 10_000))
            .option('--seed <n>', 'seed of texts and values', wholeNumber(0, 2 ** 32 - 1), 1)
            .addOption(
              new Option('--haystack <input>', 'hide needles in this text (repeatable)')
                .argParser(collect)
                .default([], 'made-up prose'),
            )
            .addOption(
              new Option(
                '--prompt <style>',
                'bare: the question alone (readers); full: with instructions',
              ).choices(PROMPT_STYLES),
            )
            .addOption(
              new Option('--metric <name>', 'score --tasks with this').choices(METRIC_NAMES),
            )
            .option('--limit <n>', 'only the first lines of --tasks', wholeNumber(1, 1_000_000))
            .option('-o, --out <dir>', 'folder of the run; an unfinished one goes on')
            .option('--json', 'print the report as JSON')
            .option(
              '--concurrency <n>',
              'documents that server gets side by side',
              wholeNumber(1, 256),
              4,
            )
            .option(
              '--max-tokens <n>',
              'longest answer (default: the task says; 4096 for a server)',
              wholeNumber(1, 100_000),
            ),
        ),
      ),
    ),
  )
    .addHelpText(
      'after',
      `
Suites:
  reader       the published figures of the reader: character errors at three densities,
               look-ups on 1 and 8 pages, 12-hex strings, absent answers
  natural      what people ask about letters, manuals, logs, contracts, code, … (46 documents):
               who, when, how many, why, is it allowed, what the text does not say
  expansion    look-ups and questions of people about long documents, three ways: of pages,
               of pages with passages beside them (--expand, default auto), of passages alone;
               two ways for a model that reads passages without the pages by itself
  quick        a little of lookup, hex, absent and transcribe on one page
  lookup       one value, asked for by name
  needles      several values in one question
  values       one name with several values
  distractors  one value among names that differ in a word
  hex, uuid, numbers   look-ups of such values
  absent       questions that the text does not answer, beside some that it does
  transcribe   the text of the page, by character error rate
  all          all of these but reader, quick and expansion

A run that was broken off goes on where it was when the same command is given again, and gives the same
report. Its folder holds results.jsonl (each question), report.json, report.txt and report.svg, for
natural report.md as well.

Examples:
  $ glyphpress eval --suite reader --json
  $ glyphpress eval --suite natural --documents 12 --samples 20
  $ glyphpress eval --suite lookup --pages 1,2,4,8,16 --depths 0,10,20,30,40,50,60,70,80,90,100
  $ glyphpress eval --suite lookup --haystack handbook.pdf --haystack notes/
  $ glyphpress eval --suite hex --keep 0.5 -o runs/hex-keep-50
  $ glyphpress eval --suite hex --pages 8 --expand lexical --expand-budget 200
  $ glyphpress eval --tasks niah_single_1.jsonl --limit 50 --config glyph-96 \\
      --backend openai --base-url http://127.0.0.1:8000/v1 --model zai-org/Glyph`,
    )
    .action((flags: Flags) => {
      checkFlags(flags);
      return flags.backend === 'openai' ? evaluateServer(flags) : evaluateModel(flags);
    });
  withInputOptions(withExpandOptions(evaluation, 'off; for --suite expansion auto'));
  // Options behind a command below are that command's own.
  registerCurve(evaluation.enablePositionalOptions());
}

async function evaluateModel(flags: Flags) {
  assertExpandsHere(flags);
  const model = await openModel(flags.model ?? DEFAULT_MODEL, flags);
  try {
    warnIfUntrained(model.info);
    const { rendering } = model.info;
    const { renderConfig, plan } = settingsFor(model.info, askedSettings(flags));
    const { browsers } = flags;
    const countTokens = (text: string) => model.countTokens(text);
    const drawing = { chromium: chromiumOptions, browsers };
    const asker =
      flags.suite === 'expansion'
        ? new ExpansionAsker(
            model,
            new LocalBackend(model, drawing),
            plan,
            expandSettings({ ...flags, expand: methodOf(flags) }, countTokens)!,
            planId(plan),
          )
        : new ModelAsker(model, plan, planId(plan), {
            ...drawing,
            maxNewTokens: flags.maxTokens,
            sidecar: flags.sidecar,
            expand: expandSettings(flags, countTokens),
          });
    await evaluate(flags, asker, renderConfig, rendering ? 'bare' : 'full', {
      name: `${path.basename(model.info.dir)}, checkpoint ${model.info.checkpointHash.slice(0, 12)}`,
      calibrations: model.info.calibrations,
    });
  } finally {
    await model.close();
  }
}

/** The suite compares with and without, so off means the usual way. */
const methodOf = ({ expand = 'off' }: ExpandFlags) => (expand === 'off' ? 'auto' : expand);

async function evaluateServer(flags: Flags) {
  const backend = openAiBackendOf(flags);
  const asker = new ServerAsker(backend, {
    chromium: chromiumOptions,
    browsers: flags.browsers,
    maxNewTokens: flags.maxTokens ?? 4096,
    concurrency: flags.concurrency,
    sidecar: flags.sidecar,
    expand: expandSettings(flags, countTextTokens),
  });
  await evaluate(flags, asker, renderConfigOf(flags), 'full', {
    name: backend.model,
    calibrations: null,
  });
}

async function evaluate(
  flags: Flags,
  asker: Asker,
  config: RenderConfig,
  defaultStyle: PromptStyle,
  model: { name: string; calibrations: Calibrations | null },
): Promise<void> {
  const style = flags.prompt ?? defaultStyle;
  const progress = new Progress();
  try {
    await interruptible(async (signal) => {
      const plan = await makePlan(flags, config, style, asker, signal);
      const run = { out: flags.out, progress, signal };
      const { key, folder, results } = await runQuestions(plan, asker, run);
      const base = makeReport(plan, results, key, {
        seed: flags.seed,
        prompt: style,
        ...(flags.tasks !== undefined
          ? { tasks: path.basename(flags.tasks) }
          : plan.suite === 'natural'
            ? {
                questionsOfEach: flags.samples ?? DEFAULT_QUESTIONS_PER_DOCUMENT,
                ...(flags.documents !== undefined && { documents: flags.documents }),
                ...(flags.pages && { pages: flags.pages }),
              }
            : {
                depths: flags.depths,
                haystack: flags.haystack.map((file) => path.basename(file)),
              }),
      });
      const natural =
        plan.suite === 'natural'
          ? naturalReport(plan, results, base, { ...model, command: commandLine() })
          : null;
      const report = natural?.report ?? base;
      const table = [reportTable(base), ...(natural ? [natural.table] : [])].join('\n\n');
      const json = `${JSON.stringify(report, null, 2)}\n`;
      makeFolderSync(folder);
      writeFileSync(path.join(folder, 'report.json'), json);
      writeFileSync(path.join(folder, 'report.txt'), `${table}\n`);
      writeFileSync(path.join(folder, 'report.svg'), heatMap(base));
      if (natural) writeFileSync(path.join(folder, 'report.md'), natural.markdown);
      if (flags.json) process.stdout.write(json);
      else process.stdout.write(`${table}\n\nwritten to ${folder}\n`);
    });
  } finally {
    progress.stop();
  }
}

async function makePlan(
  flags: Flags,
  config: RenderConfig,
  style: PromptStyle,
  asker: Asker,
  signal: AbortSignal,
): Promise<EvalPlan> {
  if (flags.tasks !== undefined) return planOfFile(flags.tasks, flags, config, style);
  const suite = flags.suite ?? 'reader';
  if (suite === 'natural') return naturalPlan(flags, config, style, asker, signal);
  const text = await readHaystack(flags.haystack, flags, signal);
  const haystack = flags.haystack.length > 0 ? haystackFrom(text) : undefined;
  const setting = settingOf(suite, flags, { config, style, haystack, asker });
  const measure: MeasurePage = (config, haystack) =>
    charactersPerPage(config, haystack, { chromium: chromiumOptions(), signal });
  if (suite === 'expansion') {
    const { conditions } = asker as ExpansionAsker;
    return planExpansion({ ...setting, conditions }, measure);
  }
  if (suite === 'reader') return planReaderSuite(setting, measure);
  const parts = suite === 'all' ? TASK_SUITES : suite === 'quick' ? QUICK_SUITES : [suite];
  return planSuites(suite, parts, setting, measure);
}

function planOfFile(
  file: string,
  { metric, limit }: Pick<Flags, 'metric' | 'limit'>,
  config: RenderConfig,
  style: PromptStyle,
): EvalPlan {
  const documents = loadTasks(file, {
    style,
    ...(metric && { metric }),
    ...(limit !== undefined && { limit }),
  });
  return { suite: 'tasks', renderings: { page: config }, documents };
}

/** How large the suite is, as asked for or as it is by itself. */
function settingOf(
  suite: SuiteName,
  { seed, depths, pages, samples }: Flags,
  given: Pick<SuiteSetting, 'config' | 'style'> & {
    haystack: SuiteSetting['haystack'] | undefined;
    asker: Asker;
  },
): SuiteSetting {
  const { config, style, haystack, asker } = given;
  return {
    ...{ config, style, seed, depths },
    hasProbe: asker.hasProbe ?? false,
    pages: pages ?? DEFAULT_PAGES[suite] ?? [1, 2, 4],
    samples: samples ?? (suite in DEFAULT_PAGES ? 1 : 4),
    ...(haystack && { haystack }),
  };
}

function checkFlags(flags: Flags): void {
  const conflict = (message: string, hint: string) => {
    throw new GlyphpressError('GP_USAGE', { message, hint });
  };
  if (flags.suite && flags.tasks !== undefined)
    conflict('--suite and --tasks both say what to ask', 'Give one of them.');
  if (flags.documents !== undefined && flags.suite !== 'natural')
    conflict('--documents goes with --suite natural', 'Elsewhere --samples says how many.');
  if (flags.suite === 'expansion' && flags.backend === 'openai')
    conflict(
      '--suite expansion needs a model that runs here',
      'Behind a server, run the other suites with and without --expand tool.',
    );
  if (flags.suite === 'natural' && flags.haystack.length > 0)
    conflict('--haystack does not go with --suite natural', 'Its documents are fixed.');
  if (flags.tasks === undefined && (flags.metric || flags.limit !== undefined))
    conflict(
      '--metric and --limit go with --tasks',
      'Leave them out: a suite knows its own metrics.',
    );
}

/** The command line without the output folder: repeats the run. */
function commandLine(args = process.argv.slice(2)): string {
  const isOut = (arg: string | undefined) => arg === '-o' || arg === '--out';
  const kept = args.filter((arg, i) => !isOut(arg) && !isOut(args[i - 1]) && arg !== '--json');
  return ['npx glyphpress', ...kept].join(' ');
}

const percents = (text: string) => numberList(text, 0, 100, false).map((percent) => percent / 100);
