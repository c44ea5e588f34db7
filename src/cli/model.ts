import { type Command, Option } from 'commander';
import { readDocument } from '../pipeline/read-document.js';
import {
  compileToFolder,
  type Inspection,
  inspectModel,
  locateModel,
  measureDrift,
  quantiseToFolder,
} from '../vlm/index.js';
import { registerAttention } from './model-attention.js';
import { registerCalibrate } from './model-calibrate.js';
import { registerModelHub } from './model-hub.js';
import { dtypeOption } from './model-options.js';
import { wholeNumber } from './options.js';
import { Progress } from './progress.js';

const MODEL_ARGUMENT = 'model folder, .gguf file, or owner/name that was pulled';

export function registerModel(program: Command): void {
  const model = program
    .command('model')
    .description('fetch models, look into them, compile, quantise and calibrate them');

  model
    .command('inspect')
    .description('family, sizes, tokens a page and key-value bytes a token')
    .argument('<model>', MODEL_ARGUMENT)
    .option('--page-width <px>', 'page to count visual tokens for', wholeNumber(1, 100_000), 588)
    .option('--page-height <px>', '', wholeNumber(1, 100_000), 840)
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ glyphpress model inspect models/reader')
    .action(inspect);

  model
    .command('compile')
    .description(
      'turn the weights of a model to a type and write its ONNX graphs, to the cache folder',
    )
    .argument('<model>', MODEL_ARGUMENT)
    .addOption(dtypeOption())
    .option('--report [text-file]', 'measure how far the model is from float32, on a text')
    .option('--against <model>', 'for --report: the model that this one was quantised from')
    .option('--json', 'print the manifest as JSON')
    .addHelpText(
      'after',
      `
Weights are turned a few rows at a time, so memory stays small whatever the model's size. Commands that
run a model compile it themselves; do it beforehand to save the first of them the time.

Examples:
  $ glyphpress model compile models/reader
  $ glyphpress model compile ~/models/Glyph --dtype int4
  $ glyphpress model compile SmolLM2-135M-Instruct.Q4_1.gguf
  $ glyphpress model compile models/reader --dtype int8 --report book.txt`,
    )
    .action(compileModel);

  model
    .command('quantise')
    .description('write a model folder with quantised weights, to be shipped without the original')
    .argument('<dir>', 'Hugging Face model folder with float weights')
    .requiredOption('-o, --out <dir>', 'folder to make')
    .addOption(dtypeOption().choices(['fp16', 'int8', 'int4']).makeOptionMandatory())
    .addOption(
      new Option(
        '--head <type>',
        'of head and embedding (default: int8 beside int4, else as the decoder)',
      ).choices(['int8', 'int4']),
    )
    .addOption(
      new Option(
        '--vision <type>',
        'of the vision tower (default: int8 if that costs less than 1 % of a row, else fp16)',
      ).choices(['fp32', 'fp16', 'int8']),
    )
    .option('--shard-mb <n>', 'largest weight file', wholeNumber(1, 100_000), 48)
    .option('--json', 'print what was written as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ glyphpress model quantise runs/reader -o models/reader --dtype int4',
    )
    .action(quantiseModel);

  registerModelHub(model);
  registerCalibrate(model);
  registerAttention(model);
}

interface InspectFlags {
  pageWidth: number;
  pageHeight: number;
  json?: boolean;
}

async function inspect(model: string, flags: InspectFlags): Promise<void> {
  const inspection = inspectModel(await locateModel(model), {
    widthPx: flags.pageWidth,
    heightPx: flags.pageHeight,
  });
  process.stdout.write(
    flags.json ? `${JSON.stringify(inspection)}\n` : `${inspectionText(inspection)}\n`,
  );
}

interface QuantiseFlags {
  out: string;
  dtype: string;
  head?: 'int8' | 'int4';
  vision?: 'fp32' | 'fp16' | 'int8';
  shardMb: number;
  json?: boolean;
}

interface CompileFlags {
  dtype?: string;
  /** True without a file. */
  report?: string | true;
  against?: string;
  json?: boolean;
}

async function compileModel(model: string, flags: CompileFlags): Promise<void> {
  const progress = new Progress();
  try {
    const onProgress = weightProgress(progress, 'weights');
    const dir = await locateModel(model);
    const manifest = await compileToFolder(dir, { dtype: flags.dtype, onProgress });
    progress.stop();
    const text = typeof flags.report === 'string' ? readDocument(flags.report).text : undefined;
    const original = flags.against === undefined ? undefined : await locateModel(flags.against);
    const drift = flags.report
      ? await measureDrift(dir, manifest.dtype, text, { original })
      : undefined;
    const result = { ...manifest, ...(drift && { drift }) };
    process.stdout.write(`${JSON.stringify(result, null, flags.json ? 0 : 2)}\n`);
  } finally {
    progress.stop();
  }
}

async function quantiseModel(
  dir: string,
  { out, dtype, head, vision, shardMb, json }: QuantiseFlags,
): Promise<void> {
  const progress = new Progress();
  try {
    const written = await quantiseToFolder(dir, out, {
      dtype,
      head,
      vision,
      shardBytes: shardMb * 1e6,
      onProgress: weightProgress(progress, 'weights'),
    });
    progress.stop();
    const { folder, parameters, bytes, shards, towerError } = written;
    const tower = written.vision
      ? `, vision tower in ${written.vision}${towerError ? ` (in 8 bits its rows are off by ${(100 * towerError.mean).toFixed(2)} %)` : ''}`
      : '';
    process.stdout.write(
      json
        ? `${JSON.stringify(written)}\n`
        : `${folder}: ${(parameters / 1e6).toFixed(1)} M parameters in ${dtype}${tower}, ${(bytes / 1e6).toFixed(1)} MB in ${shards.length} files\n`,
    );
  } finally {
    progress.stop();
  }
}

/** Progress in millions of parameters. */
function weightProgress(progress: Progress, stage: string) {
  return (done: number, total: number) =>
    progress.update({
      stage,
      done: Math.round(done / 1e6),
      total: Math.round(total / 1e6),
      unit: 'M',
      share: done / total,
    });
}

function calibrationText(
  calibration: Inspection['calibrations']['pages'],
  missing = 'not calibrated (glyphpress model calibrate DIR)',
): string {
  if (!calibration) return missing;
  const { questions, expectedCalibrationError: error } = calibration;
  return `calibrated on ${questions} answers${error === null ? '' : `, off by ${error.toFixed(3)}`}`;
}

function inspectionText(model: Inspection): string {
  const { page, vision } = model;
  const rows: [string, string][] = [
    ['family', `${model.family}${model.trained ? '' : ' (untrained weights)'}`],
    [
      'parameters',
      `${(model.parameters / 1e6).toFixed(2)} M stored as ${model.storedDtype}, run in ${model.dtype}`,
    ],
    [
      'decoder',
      `${model.layers} layers, hidden ${model.hiddenSize}, ${model.heads} heads (${model.kvHeads} key-value), head ${model.headDim}`,
    ],
    [
      'vision',
      vision
        ? `${vision.depth} blocks, hidden ${vision.hiddenSize}, ${vision.heads} heads, patch ${vision.patchSize} px, merged ${vision.mergeSize}×${vision.mergeSize}`
        : 'none: it reads text only',
    ],
    ['vocabulary', `${model.vocabSize} (tokenizer ${model.tokenizerVocabulary})`],
    ['longest prompt', `${model.maxPositions} rows`],
    ...(page && vision
      ? [
          [
            'visual tokens',
            `${page.visualTokens} for a page of ${page.widthPx} × ${page.heightPx} px (${page.cols} × ${page.rows} cells of ${vision.cellPx} px)`,
          ] satisfies [string, string],
        ]
      : []),
    [
      'key-value bytes',
      `${model.kvBytesPerToken} a token in memory, ${model.storedKvBytesPerToken} as stored`,
    ],
    ['confidence, pages', calibrationText(model.calibrations.pages)],
    ['confidence, text', calibrationText(model.calibrations.text, 'as of pages')],
    ['checkpoint', model.checkpointHash],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
