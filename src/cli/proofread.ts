import { type Command, InvalidArgumentError } from 'commander';
import { PROBED_MODEL } from '../package-file.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { prepareProofFolder, writeProof } from '../pipeline/proofing/proof-pictures.js';
import { type ProofReport, proofread } from '../pipeline/proofing/proofread.js';
import { placeText } from './answer-notes.js';
import {
  INPUT_ARGUMENT,
  INPUT_HELP,
  type InputFlags,
  inputsJson,
  openInputs,
  withInputOptions,
} from './input-options.js';
import { interruptible } from './interrupt.js';
import { openModel } from './model-options.js';
import { type RenderFlags, renderConfigOf, wholeNumber, withRenderOptions } from './options.js';
import { type PieceFlags, partsOf, pieceDocument, withPieceOptions } from './part-options.js';
import { Progress } from './progress.js';

interface Flags extends InputFlags, PieceFlags, RenderFlags {
  model?: string;
  threads?: number;
  worst: number;
  maxError?: number;
  out?: string;
  json?: boolean;
}

export function registerProofread(program: Command): void {
  withRenderOptions(
    withPieceOptions(
      withInputOptions(
        program
          .command('proofread')
          .description('measure how well a reader can read the pages of documents, page by page')
          .argument('<input...>', INPUT_ARGUMENT)
          .option(
            '--model <dir>',
            'model folder with a legibility probe (default: the look-up reader that ships)',
          )
          .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
          .option('--worst <n>', 'places to tell of', wholeNumber(0, 1_000), 10)
          .option('--max-error <share>', 'exit with 1 if more of the characters are wrong', share)
          .option('-o, --out <dir>', 'folder for pictures of the worst places, and the report')
          .option('--json', 'print the report as JSON'),
      ),
    ),
  )
    .addHelpText(
      'after',
      `${INPUT_HELP}

No question is asked and no decoder runs: every page is drawn, encoded, read by the legibility probe and
compared with its text. White space counts as one space. What the probe cannot know (anything beyond
printable ASCII, renderings that the model was not trained on) counts as wrong.

Examples:
  $ glyphpress proofread contract.txt
  $ glyphpress proofread contract.txt -o proof --worst 30
  $ glyphpress proofread contract.txt --max-error 0.03 --json`,
    )
    .action(async (sources: string[], flags: Flags) => {
      const progress = new Progress();
      const inputs = await interruptible((signal) =>
        openInputs(sources, flags, { signal, progress }),
      ).finally(() => progress.stop());
      if (flags.out !== undefined) await prepareProofFolder(flags.out);
      const model = await openModel(flags.model ?? PROBED_MODEL, flags);
      try {
        const config = renderConfigOf(flags, model.info.rendering);
        const reader = {
          renderConfig: config,
          cellsOf: (page: { widthPx: number; heightPx: number }) => model.visualTokenGrid(page),
          cellsId: model.info.checkpointHash,
          context: null,
        };
        const parts = await interruptible((signal) =>
          partsOf(inputs.document, flags, reader, signal),
        );
        const document = pieceDocument(inputs.document, parts);
        const proof = await interruptible((signal) =>
          proofread(document, config, model, {
            chromium: chromiumOptions(),
            browsers: flags.browsers,
            signal,
            worst: flags.worst,
            keepPages: flags.out !== undefined,
            onPage: ({ pagesDone, share }) =>
              progress.update({ stage: 'proofread', done: pagesDone, unit: 'pages', share }),
          }),
        );
        progress.stop();
        const pictures = flags.out === undefined ? [] : await writeProof(flags.out, proof);
        const { report } = proof;
        if (flags.json)
          process.stdout.write(`${JSON.stringify({ ...report, ...inputsJson(inputs) })}\n`);
        else {
          process.stdout.write(`${proofText(report)}\n`);
          if (flags.out !== undefined)
            process.stdout.write(`\n${pictures.length} marked pages in ${flags.out}\n`);
        }
        const { characterErrorRate } = report;
        if (flags.maxError !== undefined && characterErrorRate > flags.maxError) {
          process.stderr.write(
            `${percent(characterErrorRate)} of the characters are wrong, more than ${percent(flags.maxError)}\n`,
          );
          process.exitCode = 1;
        }
      } finally {
        progress.stop();
        await model.close();
      }
    });
}

function proofText(report: ProofReport): string {
  const { pages, worst, confusions, timings } = report;
  const lines = ['page   lines   characters   wrong'];
  for (const { page, lines: count, characters, edits, characterErrorRate } of pages) {
    lines.push(
      `${String(page).padStart(4)}${String(count).padStart(8)}${String(characters).padStart(13)}   ${percent(characterErrorRate)} (${edits})`,
    );
  }
  lines.push(
    ` all${' '.repeat(8)}${String(report.characters).padStart(13)}   ${percent(report.characterErrorRate)} (${report.edits})   ${(timings.totalMs / 1000).toFixed(1)} s, ${Math.round(timings.totalMs / pages.length)} ms a page`,
  );
  if (worst.length > 0) lines.push('', 'worst places');
  worst.forEach((span, n) => {
    lines.push(
      `${String(n + 1).padStart(4)}  ${placeText(span)}: ${span.edits} wrong`,
      `      shown  ${span.shown}`,
      `      read   ${span.read}`,
    );
  });
  if (confusions.length > 0) {
    const pairs = confusions
      .slice(0, 12)
      .map(({ shown, read, count }) => `${sign(shown)} as ${sign(read)} ${count}×`);
    lines.push('', `read wrong: ${pairs.join(', ')}`);
  }
  return lines.join('\n');
}

const sign = (character: string) =>
  character === '' ? 'nothing' : character === ' ' ? 'space' : character;
const percent = (value: number) => `${(value * 100).toFixed(2)} %`;

function share(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}
