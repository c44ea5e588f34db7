import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import {
  type CalibrationResult,
  calibrate,
  calibrationSamples,
  charactersPerPage,
  ModelAsker,
  planSuites,
  type Reliability,
  reliabilityPlot,
  type TaskSuite,
} from '../eval/index.js';
import { makeFolderSync } from '../output-folder.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { planId } from '../prune/index.js';
import { type Calibrations, type ModelInfo, storeCalibration } from '../vlm/index.js';
import { naturalPlan } from './eval-natural.js';
import {
  assertAttends,
  assertExpandsHere,
  type ExpandFlags,
  expandSettings,
  withExpandOptions,
} from './expand-options.js';
import { interruptible } from './interrupt.js';
import { openModel, warnIfUntrained } from './model-options.js';
import {
  pageCounts,
  type RenderFlags,
  renderConfigOf,
  wholeNumber,
  withRenderOptions,
} from './options.js';
import { Progress } from './progress.js';
import { runQuestions } from './question-run.js';

/** What people ask for, from easy to hard; half of the absent questions have no answer. */
const LOOK_UPS: readonly TaskSuite[] = ['lookup', 'hex', 'numbers', 'distractors', 'absent'];
const DEPTHS = [0, 0.25, 0.5, 0.75, 1];
/** Another than eval's, whose figures must not be of questions that the curve was fitted on. */
const SEED = 1_000_003;
/** The seed of `eval --suite natural`, which leaves out the questions that are asked here. */
const NATURAL_SEED = 1;

const DEFAULT_PAGES = [1, 2];

const QUESTIONS = ['natural', 'look-ups'] as const;

interface Flags extends RenderFlags, ExpandFlags {
  questions?: (typeof QUESTIONS)[number];
  pages?: number[];
  samples: number;
  seed: number;
  maxTokens?: number;
  threads?: number;
  out?: string;
  dryRun?: boolean;
  json?: boolean;
}

export function registerCalibrate(model: Command): void {
  const command = withRenderOptions(
    model
      .command('calibrate')
      .description('measure how sure a model may be of its answers, and write that into its folder')
      .argument('<dir>', 'Hugging Face model folder')
      .addOption(
        new Option(
          '--questions <kind>',
          'natural: of people, about real documents; look-ups: of values in made-up text (default: natural for a model that reads words)',
        ).choices(QUESTIONS),
      )
      .option(
        '--pages <list>',
        'lengths of documents (default: 1,2; any where only passages are read)',
        pageCounts,
      )
      .option(
        '--samples <n>',
        'look-ups: documents of each kind and length',
        wholeNumber(1, 10_000),
        2,
      )
      .option('--seed <n>', 'look-ups: seed of texts and values', wholeNumber(0, 2 ** 32 - 1), SEED)
      .option(
        '--max-tokens <n>',
        'longest answer (default: the task says)',
        wholeNumber(1, 100_000),
      )
      .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
      .option('-o, --out <dir>', 'folder of the run; an unfinished one goes on')
      .option('--dry-run', 'measure only; leave the model folder as it is')
      .option('--json', 'print the result as JSON'),
  );
  withExpandOptions(command, 'off')
    .addHelpText(
      'after',
      `
Asks questions whose answers are known: those of the natural suite that "eval --suite natural" leaves out, or
look-ups (values, hex strings, numbers, distractors, absent ones). Fits a logistic curve from the log-probabilities of an
answer's tokens to the chance that it is right, and where the answers are read from passages alone (--expand) from these
and what speaks for them there; questions are then asked also of texts without what answers them. The curve
goes to config.json as glyphpress.calibration, or as glyphpress.text_calibration; "glyphpress ask" uses them for its confidence. How true the
chances are is measured on documents that the curve was not fitted on: reliability.svg in the run's folder.

Examples:
  $ glyphpress model calibrate models/reader
  $ glyphpress model calibrate models/reader --expand lexical
  $ glyphpress model calibrate models/reader --pages 1,4 --samples 10 -o runs/calibration
  $ glyphpress model calibrate models/reader --dry-run --json`,
    )
    .action((dir: string, flags: Flags) => calibrateModel(dir, flags));
}

async function calibrateModel(dir: string, flags: Flags): Promise<void> {
  assertExpandsHere(flags);
  const model = await openModel(dir, flags);
  const progress = new Progress();
  try {
    warnIfUntrained(model.info);
    assertAttends(model, flags);
    const { rendering } = model.info;
    const config = renderConfigOf(flags, rendering);
    const plan = { decoder: [] };
    const asker = new ModelAsker(model, plan, planId(plan), {
      chromium: chromiumOptions,
      browsers: flags.browsers,
      maxNewTokens: flags.maxTokens,
      expand: expandSettings(flags, (text) => model.countTokens(text)),
    });
    const { result, folder } = await interruptible(async (signal) => {
      const style = rendering ? 'bare' : 'full';
      const fromText = readFrom(model.info, flags) === 'text';
      const pages = flags.pages ?? (fromText ? undefined : DEFAULT_PAGES);
      const kind = flags.questions ?? (asker.readsText ? 'natural' : 'look-ups');
      const questions =
        kind === 'natural'
          ? await naturalPlan(
              {
                seed: NATURAL_SEED,
                ...(pages && { pages }),
                others: true,
                passagesAlone: fromText,
              },
              config,
              style,
              { readsText: false },
              signal,
            )
          : await planSuites(
              'calibration',
              LOOK_UPS,
              { config, style, depths: DEPTHS, ...lookUpsOf(flags) },
              (config, haystack) =>
                charactersPerPage(config, haystack, { chromium: chromiumOptions(), signal }),
            );
      const { folder, results } = await runQuestions(questions, asker, {
        out: flags.out,
        cachedUnder: 'calibrations',
        progress,
        signal,
      });
      const absent = questions.documents
        .flatMap((document) => document.questions)
        .filter(({ metric }) => metric === 'notFound');
      const ids = new Set(absent.map(({ id }) => id));
      return { result: calibrate(calibrationSamples(results.values(), ids)), folder };
    });
    progress.stop();
    const modelName = path.basename(model.info.dir);
    makeFolderSync(folder);
    writeFileSync(path.join(folder, 'calibration.json'), `${JSON.stringify(result, null, 2)}\n`);
    writeFileSync(path.join(folder, 'reliability.svg'), reliabilityPlot(modelName, result));
    if (!flags.dryRun)
      storeCalibration(model.info.dir, result.calibration, readFrom(model.info, flags));
    const stored = !flags.dryRun;
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ ...result, stored, folder })}\n`
        : `${resultText(result)}\n${stored ? `written to ${path.join(dir, 'config.json')}; ` : ''}curve in ${path.join(folder, 'reliability.svg')}\n`,
    );
  } finally {
    progress.stop();
    await model.close();
  }
}

/** What the answers were read from. */
function readFrom({ passages }: ModelInfo, { expand = 'off' }: ExpandFlags): keyof Calibrations {
  return expand !== 'off' && passages === 'alone' ? 'text' : 'pages';
}

const lookUpsOf = ({ seed, pages = DEFAULT_PAGES, samples }: Flags) => ({ seed, pages, samples });

const rocText = ({ areaUnderRoc }: Reliability) => areaUnderRoc?.toFixed(3) ?? '–';

function resultText({ calibration, calibrated, uncalibrated }: CalibrationResult): string {
  const { questions, right } = calibration;
  const rows: [string, string][] = [
    ['answers', `${right} of ${questions} right`],
    [
      'calibration error',
      `${calibrated.expectedCalibrationError.toFixed(3)} on held-out documents, ${uncalibrated.expectedCalibrationError.toFixed(3)} without calibration`,
    ],
    ['area under ROC', `${rocText(calibrated)}, without calibration ${rocText(uncalibrated)}`],
    [
      'Brier score',
      `${calibrated.brierScore.toFixed(3)}, without calibration ${uncalibrated.brierScore.toFixed(3)}`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
