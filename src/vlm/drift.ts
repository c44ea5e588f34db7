/**
 * How far a model in some dtype is from the same model, or the one it was made from, in float32: what
 * `glyphpress model compile --report` tells.
 */
import { GlyphpressError } from '../errors.js';
import { drawnPage } from './drawn-page.js';
import type { Forward } from './engine.js';
import { logSumExp } from './log-probability.js';
import { type OpenOptions, VisionLanguageModel } from './model.js';
import { type RowErrors, relativeError, rowErrors } from './relative-error.js';
import type { Dtype } from './weights/recipe.js';

export interface DriftReport {
  dtype: Dtype;
  /** Rows of the prompt that were compared. */
  rows: number;
  /** Kullback-Leibler divergence of the next token from float32's, in nats. */
  logitKl: { mean: number; max: number };
  /** Share of rows whose likeliest token is the same. */
  sameToken: number;
  /** After each layer, ‖difference‖ / ‖float32‖ over all rows. */
  layers: number[];
  /** Of the visual tokens of a drawn page: mean and largest ‖difference‖ / ‖float32‖ of a row; null for text models. */
  vision: RowErrors | null;
}

/** Logits compared at once, so that memory stays below some hundred megabytes. */
const MAX_LOGITS = 16_000_000;
const MAX_ROWS = 512;

/** Text that is used by default. */
const DEFAULT_TEXT = `The harbour office opens at seven. Before that, the keeper walks along the quay and writes down which boats lie there, how deep their lines hang in the water and whether anyone is still on board. In March 1994 he noted 37 boats, two of them without a name. One belonged to a glazier from the north who came every spring, paid for six weeks in advance, and was never seen to set a sail. The list is kept in a tin box; the oldest sheet in it is from 1871, and the ink is still blue.`;

export interface DriftOptions extends Pick<OpenOptions, 'cacheDir' | 'threads' | 'accuracyLevel'> {
  /** Folder of the model that this one was made from. @defaultValue the model itself, in float32 */
  original?: string | undefined;
}

/**
 * @param text at least a sentence; its beginning is used
 * @throws GP_INPUT_EMPTY for a text of fewer than 8 tokens
 */
export async function measureDrift(
  dir: string,
  dtype: Dtype,
  text: string = DEFAULT_TEXT,
  { original = dir, ...options }: DriftOptions = {},
): Promise<DriftReport> {
  const exact = await run(original, { ...options, dtype: 'fp32' }, text);
  const rounded = await run(dir, { ...options, dtype }, text);
  const { vocabulary } = exact;
  const rows = exact.forward.logits.length / vocabulary;
  return {
    dtype,
    rows,
    ...compareLogits(exact.forward.logits, rounded.forward.logits, vocabulary),
    layers: exact.forward.hidden.map(({ data }, n) =>
      relativeError(rounded.forward.hidden[n]!.data, data),
    ),
    vision:
      exact.page && rounded.page ? rowErrors(exact.page, rounded.page, exact.tokenWidth) : null,
  };
}

interface Run {
  forward: Forward;
  page: Float32Array | null;
  vocabulary: number;
  tokenWidth: number;
}

async function run(dir: string, options: OpenOptions, text: string): Promise<Run> {
  const model = await VisionLanguageModel.open(dir, options);
  try {
    const { vocabSize, layers, vision } = model.info;
    const cuts = Array.from({ length: layers - 1 }, (_, n) => n + 1);
    const rows = Math.min(MAX_ROWS, Math.floor(MAX_LOGITS / vocabSize));
    return {
      forward: await model.forward([], firstTokens(model, text, rows), cuts),
      page: vision && (await model.encodeImage(drawnPage(8 * vision.cellPx))).tokens,
      vocabulary: vocabSize,
      tokenWidth: vision?.tokenWidth ?? 0,
    };
  } finally {
    await model.close();
  }
}

/** The beginning of the text, cut to about this number of tokens. */
function firstTokens(model: VisionLanguageModel, text: string, tokens: number): string {
  const count = model.countTokens(text);
  if (count < 8) {
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: `The text to measure on has ${count} tokens; at least 8 are needed.`,
      hint: 'Give a text of some sentences, as the model will read them.',
    });
  }
  return count <= tokens ? text : text.slice(0, Math.floor((text.length * tokens) / count));
}

function compareLogits(
  exact: Float32Array,
  rounded: Float32Array,
  vocabulary: number,
): Pick<DriftReport, 'logitKl' | 'sameToken'> {
  const rows = exact.length / vocabulary;
  let [sum, max, same] = [0, 0, 0];
  for (let row = 0; row < rows; row += 1) {
    const a = exact.subarray(row * vocabulary, (row + 1) * vocabulary);
    const b = rounded.subarray(row * vocabulary, (row + 1) * vocabulary);
    const [normA, normB] = [logSumExp(a), logSumExp(b)];
    let kl = 0;
    let [bestA, bestB] = [0, 0];
    for (let token = 0; token < vocabulary; token += 1) {
      const logA = a[token]! - normA;
      kl += Math.exp(logA) * (logA - (b[token]! - normB));
      if (a[token]! > a[bestA]!) bestA = token;
      if (b[token]! > b[bestB]!) bestB = token;
    }
    sum += kl;
    max = Math.max(max, kl);
    if (bestA === bestB) same += 1;
  }
  return { logitKl: { mean: sum / rows, max }, sameToken: same / rows };
}
