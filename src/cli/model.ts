import { type Command, Option } from 'commander';
import { compileToFolder, type Inspection, inspectModel } from '../vlm/index.js';
import { registerCalibrate } from './model-calibrate.js';
import { wholeNumber } from './options.js';

export function registerModel(program: Command): void {
  const model = program
    .command('model')
    .description('look into model folders, compile and calibrate them');

  model
    .command('inspect')
    .description('family, sizes, tokens a page and key-value bytes a token')
    .argument('<dir>', 'Hugging Face model folder')
    .option('--page-width <px>', 'page to count visual tokens for', wholeNumber(1, 100_000), 588)
    .option('--page-height <px>', '', wholeNumber(1, 100_000), 840)
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ glyphpress model inspect models/reader')
    .action((dir: string, flags: { pageWidth: number; pageHeight: number; json?: boolean }) => {
      const inspection = inspectModel(dir, {
        widthPx: flags.pageWidth,
        heightPx: flags.pageHeight,
      });
      process.stdout.write(
        flags.json ? `${JSON.stringify(inspection)}\n` : `${inspectionText(inspection)}\n`,
      );
    });

  model
    .command('compile')
    .description('write the ONNX graphs of a model')
    .argument('<dir>', 'Hugging Face model folder')
    .addOption(
      new Option('--dtype <type>', 'type of the weights')
        .choices(['fp32', 'int8', 'int4'])
        .default('fp32'),
    )
    .option('--json', 'print the manifest as JSON')
    .addHelpText('after', '\nExample:\n  $ glyphpress model compile models/reader')
    .action(async (dir: string, flags: { dtype: string; json?: boolean }) => {
      const manifest = await compileToFolder(dir, {
        dtype: flags.dtype,
      });
      process.stdout.write(`${JSON.stringify(manifest, null, flags.json ? 0 : 2)}\n`);
    });

  registerCalibrate(model);
}

function calibrationText(calibration: Inspection['calibration']): string {
  if (!calibration) return 'not calibrated (glyphpress model calibrate DIR)';
  const { questions, expectedCalibrationError: error } = calibration;
  return `calibrated on ${questions} look-ups${error === null ? '' : `, off by ${error.toFixed(3)}`}`;
}

function inspectionText(model: Inspection): string {
  const { page, vision } = model;
  const rows: [string, string][] = [
    ['family', `${model.family}${model.trained ? '' : ' (untrained weights)'}`],
    ['parameters', `${(model.parameters / 1e6).toFixed(2)} M in ${model.dtype}`],
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
      `${model.kvBytesPerToken} a token in float32, ${model.kvBytesPerToken / 2} as stored`,
    ],
    ['confidence', calibrationText(model.calibration)],
    ['checkpoint', model.checkpointHash],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}
