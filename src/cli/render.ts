import type { Command } from 'commander';
import { GlyphpressError } from '../errors.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { renderToFolder } from '../pipeline/render-to-folder.js';
import { renderingOf } from '../vlm/index.js';
import {
  INPUT_ARGUMENT,
  INPUT_HELP,
  type InputFlags,
  inputsJson,
  openInputs,
  withInputOptions,
} from './input-options.js';
import { interruptible } from './interrupt.js';
import {
  configKeysHelp,
  type RenderFlags,
  renderConfigOf,
  wholeNumber,
  withRenderOptions,
} from './options.js';
import { Progress } from './progress.js';

interface Flags extends InputFlags, RenderFlags {
  out: string;
  model?: string;
  from?: number;
  to?: number;
  countBlank?: boolean;
  force?: boolean;
  json?: boolean;
}

export function registerRender(program: Command): void {
  withRenderOptions(
    withInputOptions(
      program
        .command('render')
        .description('draw documents as dense page images, with a span map')
        .argument('<input...>', INPUT_ARGUMENT)
        .requiredOption('-o, --out <dir>', 'folder for page-0001.png … and pages.json')
        .option(
          '--model <dir>',
          'draw what this model was trained to read (default: the reader that ships with glyphpress)',
        )
        .option('--from <page>', 'first page to draw', wholeNumber(1, 1e9))
        .option('--to <page>', 'last page to draw', wholeNumber(1, 1e9))
        .option('--count-blank', 'also count the visual tokens of cells without ink')
        .option('--force', 'draw into a folder that holds other files; they stay')
        .option('--json', 'print the result as JSON'),
    ),
  )
    .addHelpText(
      'after',
      `${INPUT_HELP}

Pages are drawn as compress draws them: without --config, what the model was trained to read.

Examples:
  $ glyphpress render book.txt -o pages
  $ glyphpress render book.txt -o pages --config glyph-72 --reflow
  $ glyphpress render report.pdf -o pages
  $ glyphpress render log.txt -o pages --set font-family="DejaVu Sans Mono" --set columns=2
${configKeysHelp()}`,
    )
    .action(async (sources: string[], flags: Flags) => {
      const pageRange = pageRangeOf(flags);
      const renderConfig = renderConfigOf(flags, renderingOf(flags.model ?? DEFAULT_MODEL));
      const progress = new Progress();
      const result = await interruptible(async (signal) => {
        const inputs = await openInputs(sources, flags, { signal, progress });
        const rendered = await renderToFolder(inputs.document, renderConfig, flags.out, {
          chromium: chromiumOptions(),
          browsers: flags.browsers,
          ...pageRange,
          countBlank: flags.countBlank ?? false,
          foreignFiles: flags.force ? 'keep' : 'refuse',
          signal,
          onPage: ({ pagesDone, share }) =>
            progress.update({ stage: 'render', done: pagesDone, unit: 'pages', share }),
        });
        return { ...rendered, ...inputsJson(inputs) };
      }).finally(() => progress.stop());
      if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
      else process.stdout.write(`${renderText(result, flags.out)}\n`);
    });
}

/** Nothing for the whole document, whose tokens are then counted to the last character. */
function pageRangeOf({ from, to }: Flags) {
  if (from === undefined && to === undefined) return {};
  const [first, last] = [from ?? 1, to ?? Number.MAX_SAFE_INTEGER];
  if (first > last) {
    throw new GlyphpressError('GP_USAGE', {
      message: `--from ${first} lies behind --to ${last}`,
      hint: 'Give the first page, then the last one.',
    });
  }
  return { pageRange: { start: first - 1, end: last } };
}

function renderText(result: Awaited<ReturnType<typeof renderToFolder>>, folder: string): string {
  const lines = [
    `${result.pages} pages in ${folder} (${result.pagesPerSecond.toFixed(1)} pages/s)`,
    `${result.characters} characters, ${result.textTokens} text tokens (${result.tokenizer}) → ${result.visualTokens} visual tokens: ${result.renderRatio.toFixed(2)}×`,
  ];
  if (result.blankTokens !== null) {
    const share = ((100 * result.blankTokens) / result.visualTokens).toFixed(1);
    lines.push(
      `${result.blankTokens} of them (${share} %) hold no ink; without these ${result.inkedRatio!.toFixed(2)}×`,
    );
  }
  if (result.missingGlyphs > 0) {
    lines.push(
      `${result.missingGlyphs} characters have no glyph and are drawn as escapes: ${result.missingSample.join(' ')}`,
    );
  }
  if (result.fontSubstitution) {
    lines.push(`${result.fontSubstitution.wanted} is drawn with ${result.fontSubstitution.used}`);
  }
  return lines.join('\n');
}
