/** `model attention`: finds and stores the heads that look where an answer stands. */

import type { Command } from 'commander';
import { GlyphpressError } from '../errors.js';
import { charactersPerPage, findAttentionHeads, planSuites } from '../eval/index.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { storeAttentionHeads } from '../vlm/index.js';
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

/** Another than those of eval and calibrate: figures must not be of questions that chose the heads. */
const SEED = 2_000_003;
const DEPTHS = [0, 0.25, 0.5, 0.75, 1];

interface Flags extends RenderFlags {
  pages: number[];
  samples: number;
  seed: number;
  threads?: number;
  json?: boolean;
}

export function registerAttention(model: Command): void {
  withRenderOptions(
    model
      .command('attention')
      .description('find the heads that look where an answer stands, for ask --expand attention')
      .argument('<dir>', 'Hugging Face model folder')
      .option('--pages <list>', 'lengths of documents', pageCounts, [1, 2])
      .option('--samples <n>', 'documents of each length', wholeNumber(1, 1_000), 2)
      .option('--seed <n>', 'seed of texts and values', wholeNumber(0, 2 ** 32 - 1), SEED)
      .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
      .option('--json', 'print the result as JSON'),
  )
    .addHelpText(
      'after',
      `
Asks look-ups whose answers are known, ranks every head of every layer by how high it puts the line with the
answer, and keeps the best ones beside what is compiled of the model in the cache folder.

Examples:
  $ glyphpress model attention models/reader
  $ glyphpress model attention models/reader --pages 1,4 --samples 4 --json`,
    )
    .action((dir: string, flags: Flags) => findHeads(dir, flags));
}

async function findHeads(dir: string, flags: Flags): Promise<void> {
  const model = await openModel(dir, flags);
  const progress = new Progress();
  try {
    warnIfUntrained(model.info);
    const { rendering } = model.info;
    const config = renderConfigOf(flags, rendering);
    const found = await interruptible(async (signal) => {
      const setting = {
        config,
        seed: flags.seed,
        style: rendering ? ('bare' as const) : ('full' as const),
        depths: DEPTHS,
        pages: flags.pages,
        samples: flags.samples,
      };
      const { documents } = await planSuites('attention', ['lookup'], setting, (config, haystack) =>
        charactersPerPage(config, haystack, { chromium: chromiumOptions(), signal }),
      );
      return findAttentionHeads(model, documents, config, {
        chromium: chromiumOptions,
        browsers: flags.browsers,
        signal,
        onProgress: (done, total) =>
          progress.update({ stage: 'asked', done, total, unit: 'documents' }),
      });
    });
    progress.stop();
    if (!found) {
      throw new GlyphpressError('GP_USAGE', {
        message: 'No question was asked whose answer stands in its document',
        hint: 'Ask for more documents with --samples.',
      });
    }
    const file = await storeAttentionHeads(model.info.dir, found);
    const names = found.heads.map(({ layer, head, from }) => `${layer}.${head} (${from})`);
    process.stdout.write(
      flags.json
        ? `${JSON.stringify({ ...found, file })}\n`
        : `heads ${names.join(', ')}: the line with the answer has a mean reciprocal rank of ${found.meanReciprocalRank.toFixed(2)} over ${found.questions} look-ups\nwritten to ${file}\n`,
    );
  } finally {
    progress.stop();
    await model.close();
  }
}
