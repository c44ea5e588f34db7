import type { Command } from 'commander';
import { PROBED_MODEL } from '../package-file.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { transcribePage } from '../pipeline/proofing/transcribe.js';
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
import { Progress } from './progress.js';

interface Flags extends InputFlags, RenderFlags {
  page: number;
  model?: string;
  threads?: number;
  json?: boolean;
}

export function registerTranscribe(program: Command): void {
  withRenderOptions(
    withInputOptions(
      program
        .command('transcribe')
        .description('print what a reader sees on a page, without its decoder')
        .argument('<input...>', INPUT_ARGUMENT)
        .option('--page <n>', 'which page', wholeNumber(1, 1e9), 1)
        .option(
          '--model <dir>',
          'model folder with a legibility probe (default: the look-up reader that ships)',
        )
        .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
        .option('--json', 'print rows, source ranges and rectangles as JSON'),
    ),
  )
    .addHelpText(
      'after',
      `${INPUT_HELP}

The page is drawn and encoded as for a question; the legibility probe then reads the characters of each
visual token. It knows the rendering that its model was trained on, and the printable characters of ASCII.

Examples:
  $ glyphpress transcribe book.txt
  $ glyphpress transcribe book.txt --page 3 --json
  $ glyphpress transcribe book.txt --set line-height=14`,
    )
    .action(async (sources: string[], flags: Flags) => {
      const progress = new Progress();
      const inputs = await interruptible((signal) =>
        openInputs(sources, flags, { signal, progress }),
      ).finally(() => progress.stop());
      const { document } = inputs;
      const model = await openModel(flags.model ?? PROBED_MODEL, flags);
      try {
        const config = renderConfigOf(flags, model.info.rendering);
        const transcription = await interruptible((signal) =>
          transcribePage(document, config, flags.page, model, {
            chromium: chromiumOptions(),
            browsers: flags.browsers ?? 1,
            signal,
            onPlanned: ({ pages }) =>
              progress.update({ stage: 'layout', done: pages, total: flags.page, unit: 'pages' }),
          }),
        );
        progress.stop();
        process.stdout.write(
          flags.json
            ? `${JSON.stringify({ ...transcription, ...inputsJson(inputs) })}\n`
            : `${transcription.text}\n`,
        );
      } finally {
        progress.stop();
        await model.close();
      }
    });
}
