/** `glyphpress eval curve`: pruning against denser renderings, at equal context tokens. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import {
  CHART_AXES,
  CURVE_TASKS,
  CurveAsker,
  type CurveCondition,
  type CurveReport,
  type CurveSetting,
  charactersPerPage,
  conditionsNamed,
  curveChart,
  curveConditions,
  curveMarkdown,
  curveRenderings,
  curveTable,
  haystackFrom,
  makeCurveReport,
  PLANS_FILE,
  PROMPT_STYLES,
  type PromptStyle,
  planCurve,
  planRecord,
  shortParagraphs,
} from '../eval/index.js';
import { makeFolderSync } from '../output-folder.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { DEFAULT_EXPANSION_BUDGET } from '../pipeline/expanding/expander.js';
import { fitToCells } from '../render/index.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import {
  assertAttends,
  assertExpandsHere,
  assertReadsPages,
  type ExpandFlags,
  expandSettings,
  withExpandOptions,
} from './expand-options.js';
import { readHaystack } from './input-options.js';
import { interruptible } from './interrupt.js';
import { openModel, warnIfUntrained } from './model-options.js';
import { type RenderFlags, renderConfigOf, wholeNumber } from './options.js';
import { Progress } from './progress.js';
import { runQuestions } from './question-run.js';

const QUICK = { pages: 0.5, questions: { lookup: 3, hex: 2, transcribe: 2 }, keeps: [0.75, 0.5] };
const WHOLE = {
  pages: 1,
  questions: { lookup: 6, hex: 6, transcribe: 6 },
  keeps: [0.9, 0.75, 0.6, 0.45, 0.33],
};
const SEEDS = 3;

interface Flags extends ExpandFlags {
  quick?: boolean;
  model?: string;
  threads?: number;
  browsers?: number | undefined;
  config?: string;
  keeps?: number[];
  pages?: number;
  questions?: number;
  only: string[];
  seeds: number;
  seed: number;
  haystack: string[];
  prompt?: PromptStyle;
  out?: string;
  markdown?: string;
  record?: boolean;
  json?: boolean;
}

export function registerCurve(evaluation: Command): void {
  const curve = evaluation
    .command('curve')
    .description('compare prune plans with denser renderings, at equal context tokens')
    .option('--quick', 'small counts: under ten minutes with the reader on two cores')
    .option('--model <dir>', 'model folder (default: the reader that ships with glyphpress)')
    .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
    .option('--browsers <n>', 'browsers that draw side by side', wholeNumber(1, 64))
    .option(
      '--config <name|file>',
      'render config that plans are tried on (default: what the model was trained to read)',
    )
    .option(
      '--keeps <list>',
      'shares that plans keep, in percent (default: 90,75,60,45,33; quick 75,50)',
      shares,
    )
    .option(
      '--pages <n>',
      'length of a text, in pages of that config (default: 1; quick 0.5)',
      aboveZero,
    )
    .option(
      '--questions <n>',
      'questions of each task about each text (default: 6; quick 3 look-ups and 2 of the others)',
      wholeNumber(1, 100),
    )
    .addOption(
      new Option(
        '--only <words>',
        'only conditions with these words in their name, and what they are compared with (repeatable)',
      )
        .argParser((words: string, all: string[]) => [...all, words])
        .default([], 'all'),
    )
    .option('--seeds <n>', 'texts, each with its own random choices', wholeNumber(1, 100), SEEDS)
    .option('--seed <n>', 'the first seed', wholeNumber(0, 2 ** 32 - 101), 1)
    .addOption(
      new Option('--haystack <input>', 'texts from this file or folder (repeatable)')
        .argParser((file: string, files: string[]) => [...files, file])
        .default([], 'made-up prose'),
    )
    .addOption(
      new Option(
        '--prompt <style>',
        'bare: the question alone (readers); full: with instructions',
      ).choices(PROMPT_STYLES),
    )
    .option('-o, --out <dir>', 'folder of the run; an unfinished one goes on')
    .option('--markdown <file>', 'write the figures as a page, with charts and JSON beside it')
    .option('--record', `note the accuracy of named plans in the model's ${PLANS_FILE}`)
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
Every condition gets the same texts and the same questions (look-ups, 12-digit hex strings, continued
quotations): ten renderings without pruning, from sparse to dense; V²Drop, ApET, both, and methods beyond
them; the same drops at random; V²Drop with the question before the pages too; the named plans. The verdict compares each plan with the best rendering
that is at least as dense, and with dropping as many at random.

The folder of the run holds results.jsonl (each question), report.json, report.txt and a chart for each
axis. A run that was broken off goes on when the same command is given again.

With --expand all conditions are asked with passages of the source beside the pages, whose text tokens
count in all ratios; those with the question first are left out.

Examples:
  $ glyphpress eval curve --quick
  $ glyphpress eval curve --model models/reader --record --markdown docs/results/pruning.md
  $ glyphpress eval curve --only "trail, question first" --keeps 60,50
  $ glyphpress eval curve --keeps 80,60 --seeds 5 --haystack book.txt -o runs/curve --json
  $ glyphpress eval curve --quick --model models/look-up-reader --expand lexical --expand-budget 60`,
    )
    .action(runCurve);
  withExpandOptions(curve, 'off: pages alone');
}

async function runCurve(flags: Flags): Promise<void> {
  assertExpandsHere(flags);
  if (flags.record && isExpanding(flags)) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--record notes how plans do by themselves; with --expand they do not',
      hint: 'Leave out one of them.',
    });
  }
  if (flags.markdown !== undefined) makeFolderSync(path.dirname(flags.markdown));
  const model = await openModel(flags.model ?? DEFAULT_MODEL, flags);
  const progress = new Progress();
  try {
    warnIfUntrained(model.info);
    assertReadsPages(model.info, flags);
    assertAttends(model, flags);
    await interruptible(async (signal) => {
      const { plan, settings } = await makePlan(flags, model, signal);
      const asker = new CurveAsker(model, plan, {
        chromium: chromiumOptions,
        browsers: flags.browsers,
        expand: expandSettings(flags, (text) => model.countTokens(text)),
      });
      const run = { out: flags.out, progress, signal };
      const { key, folder, results } = await runQuestions(plan, asker, run);
      const { info } = model;
      const report = makeCurveReport(plan, results, {
        model: {
          name: path.basename(info.dir),
          checkpointHash: info.checkpointHash,
          parameters: info.parameters,
          trained: info.trained,
        },
        key,
        settings,
      });
      const table = curveTable(report);
      const json = `${JSON.stringify(report, null, 2)}\n`;
      writeFileSync(path.join(folder, 'report.json'), json);
      writeFileSync(path.join(folder, 'report.txt'), `${table}\n`);
      for (const axis of CHART_AXES)
        writeFileSync(path.join(folder, `${axis}.svg`), curveChart(report, axis));
      if (flags.record)
        writeFileSync(
          path.join(info.dir, PLANS_FILE),
          `${JSON.stringify(planRecord(report), null, 2)}\n`,
        );
      if (flags.markdown !== undefined) writePage(flags.markdown, report, json, flags);
      if (flags.json) process.stdout.write(json);
      else process.stdout.write(`${table}\n\nwritten to ${folder}\n`);
    });
  } finally {
    progress.stop();
    await model.close();
  }
}

async function makePlan(flags: Flags, model: VisionLanguageModel, signal: AbortSignal) {
  const { info } = model;
  const size = flags.quick ? QUICK : WHOLE;
  const renderFlags: RenderFlags = { set: [], ...(flags.config && { config: flags.config }) };
  const renderings = curveRenderings(
    fitToCells(renderConfigOf(renderFlags, info.rendering), model.vision.cellPx),
  );
  const text = await readHaystack(flags.haystack, {}, signal);
  const haystack = flags.haystack.length > 0 ? haystackFrom(text) : shortParagraphs;
  const pages = flags.pages ?? size.pages;
  const perPage = await charactersPerPage(renderings.base!, haystack, {
    chromium: chromiumOptions(),
    signal,
  });
  const keeps = flags.keeps ?? size.keeps;
  const setting: CurveSetting = {
    seeds: Array.from({ length: flags.seeds }, (_, i) => flags.seed + i),
    questions: flags.questions
      ? { lookup: flags.questions, hex: flags.questions, transcribe: flags.questions }
      : size.questions,
    characters: Math.max(400, Math.round(pages * perPage)),
    style: flags.prompt ?? (info.rendering ? 'bare' : 'full'),
    haystack,
  };
  const conditions = wantedConditions(flags, renderings, { layers: info.layers, keeps });
  const settings = {
    seeds: setting.seeds,
    questions: CURVE_TASKS.map((task) => `${setting.questions[task]} ${task}`),
    characters: setting.characters,
    keeps,
    prompt: setting.style,
    haystack:
      flags.haystack.length > 0
        ? flags.haystack.map((file) => path.basename(file))
        : 'made-up prose',
    ...(isExpanding(flags) && {
      expand: `${flags.expand}, at most ${flags.expandBudget ?? DEFAULT_EXPANSION_BUDGET} text tokens`,
    }),
  };
  return { plan: planCurve(renderings, conditions, setting), settings };
}

/** @throws {GlyphpressError} GP_USAGE where --only names none */
function wantedConditions(
  flags: Flags,
  renderings: Parameters<typeof curveConditions>[0],
  setting: { layers: number; keeps: readonly number[] },
): CurveCondition[] {
  const every = curveConditions(renderings, { ...setting, quick: flags.quick ?? false });
  // Pages that are read with one question in mind take no passages beside them.
  const all = isExpanding(flags)
    ? every.filter(({ questionFirstOf }) => questionFirstOf === undefined)
    : every;
  const conditions = flags.only.length > 0 ? conditionsNamed(all, flags.only) : all;
  // Pages without pruning are always there.
  if (conditions.length > 1) return conditions;
  throw new GlyphpressError('GP_USAGE', {
    message: `No condition is named like ${flags.only.map((words) => `"${words}"`).join(' or ')}`,
    hint: `There are: ${[...new Set(all.map(({ series }) => series))].join(', ')}.`,
  });
}

/** The page and, beside it, charts and figures under the same name. */
function writePage(file: string, report: CurveReport, json: string, flags: Flags): void {
  const folder = path.dirname(file);
  const name = path.basename(file, path.extname(file));
  const charts = CHART_AXES.map((axis) => ({
    title: axis === 'stackedRatio' ? 'accuracy by stacked ratio' : 'accuracy by context tokens',
    file: `${name}-${axis}.svg`,
    axis,
  }));
  for (const { axis, file } of charts)
    writeFileSync(path.join(folder, file), curveChart(report, axis));
  writeFileSync(path.join(folder, `${name}.json`), json);
  writeFileSync(file, curveMarkdown(report, { command: commandOf(flags), charts }));
}

/** What gives the same figures again. */
function commandOf(flags: Flags): string {
  const parts = ['npx glyphpress eval curve'];
  if (flags.quick) parts.push('--quick');
  if (flags.model) parts.push(`--model ${path.relative('', flags.model) || '.'}`);
  if (flags.config) parts.push(`--config ${flags.config}`);
  if (flags.keeps)
    parts.push(
      `--keeps ${flags.keeps.map((keep) => Number((keep * 100).toPrecision(9))).join(',')}`,
    );
  if (flags.pages) parts.push(`--pages ${flags.pages}`);
  if (flags.questions) parts.push(`--questions ${flags.questions}`);
  for (const words of flags.only) parts.push(`--only "${words}"`);
  if (flags.seeds !== SEEDS) parts.push(`--seeds ${flags.seeds}`);
  if (flags.seed !== 1) parts.push(`--seed ${flags.seed}`);
  for (const file of flags.haystack) parts.push(`--haystack ${path.basename(file)}`);
  if (flags.prompt) parts.push(`--prompt ${flags.prompt}`);
  if (isExpanding(flags)) parts.push(`--expand ${flags.expand}`);
  if (flags.expandBudget) parts.push(`--expand-budget ${flags.expandBudget}`);
  return parts.join(' ');
}

const isExpanding = ({ expand = 'off' }: Flags) => expand !== 'off';

function shares(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!values.every((percent) => percent > 0 && percent < 100))
    throw new InvalidArgumentError('Expected percentages between 0 and 100, separated by commas.');
  return [...new Set(values)].sort((a, b) => b - a).map((percent) => percent / 100);
}

function aboveZero(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 100))
    throw new InvalidArgumentError('Expected a number above 0 and at most 100.');
  return value;
}
