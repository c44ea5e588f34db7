/**
 * What does a long document cost as text, and as pages? The decoder of Qwen3-VL-2B with random weights: prefill of
 * 16k and 32k text tokens against the same text as pages at 3 tokens of text to a visual one, and at 4 (the same pages,
 * a quarter of their tokens dropped before the decoder), the encoding of the pages included.
 *
 * LAYERS decoder layers are run (2) and the time of a layer is multiplied to all 28, which is exact but for the noise:
 * layers are equal. Times are processor seconds, of both cores together. One page is encoded ROUNDS (3) times; how many there are follows from their tokens.
 * FOLDER for the weights, DTYPE (int4), LENGTHS (16384,32768), LONG (131072) for the extrapolation.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { drawnPage } from '../../src/vlm/drawn-page.js';
import { Engine } from '../../src/vlm/engine.js';
import { KNOWN_MODELS } from '../../src/vlm/known-models.js';
import type { PromptRows } from '../../src/vlm/prompt.js';
import { promptRows, promptShape } from '../../src/vlm/prompt.js';
import { emit, median } from './measure.js';
import { writeRandomModel } from './random-model.js';

const { FOLDER, DTYPE = 'int4', LENGTHS = '16384,32768' } = process.env;
const MODEL = 'Qwen/Qwen3-VL-2B-Instruct';
const LAYERS = Number(process.env.LAYERS ?? 2);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const LONG = Number(process.env.LONG ?? 131_072);
/** 21 × 21 cells of 32 px: the tokens of a page of text at this type size vary; only their sum counts. */
const PAGE_PX = 672;

it.runIf(FOLDER)(
  'reads pages faster than text',
  async () => {
    const dir = join(FOLDER!, `qwen3-vl-2b-${LAYERS}-layers`);
    await writeRandomModel(dir, { id: MODEL, layers: LAYERS });
    const engine = await Engine.open(dir, { dtype: DTYPE, cacheDir: join(FOLDER!, 'cache') });
    const known = KNOWN_MODELS.find(({ id }) => id === MODEL)!;
    const all = (known.config.text_config as { num_hidden_layers: number }).num_hidden_layers;
    try {
      const page = drawnPage(PAGE_PX);
      const encodeSeconds: number[] = [];
      let tokensOfPage = 0;
      for (let round = 0; round <= ROUNDS; round += 1) {
        const before = process.cpuUsage();
        const { tokenGrid } = await engine.encodeImage(page);
        tokensOfPage = tokenGrid.rows * tokenGrid.cols;
        // The first one loads the tower.
        if (round > 0) encodeSeconds.push(cpuSeconds(before));
      }
      const perVisualToken = median(encodeSeconds) / tokensOfPage;

      const shape = promptShape(engine.checkpoint.config);
      const rows = (count: number): PromptRows =>
        promptRows(
          Array.from({ length: count }, (_, n) => n % 200),
          shape,
          [],
        );
      const seconds = new Map<number, number>();
      const prefill = async (count: number) => {
        const before = process.cpuUsage();
        const { handle } = await engine.prefill(rows(count), [], { select: never });
        engine.dropContext(handle);
        const whole = (cpuSeconds(before) * all) / LAYERS;
        seconds.set(count, whole);
        return whole;
      };
      await prefill(512);
      const lengths = LENGTHS.split(',').map(Number);
      for (const length of lengths) {
        const visual = Math.round(length / 3);
        const kept = Math.round(length / 4);
        const [asText, asPages, stacked] = [
          await prefill(length),
          await prefill(visual),
          await prefill(kept),
        ];
        const encode = visual * perVisualToken;
        emit({
          bench: 'pages-against-text',
          model: MODEL,
          dtype: DTYPE,
          layersRun: LAYERS,
          textTokens: length,
          cpuSeconds: { text: asText, encode, pages: asPages, stacked },
          ratio: {
            pages: asText / (asPages + encode),
            stacked: asText / (stacked + encode),
            pagesWithoutEncode: asText / asPages,
            stackedWithoutEncode: asText / stacked,
          },
        });
        expect(asText).toBeGreaterThan(asPages);
      }
      // Seconds of n rows are a · n + b · n²: products and attention. Least squares over the runs above.
      const { a, b } = fitted([...seconds]);
      const model = (n: number) => a * n + b * n * n;
      const worst = Math.max(...[...seconds].map(([n, s]) => Math.abs(model(n) / s - 1)));
      const encode = (LONG / 3) * perVisualToken;
      emit({
        bench: 'pages-against-text-extrapolated',
        model: MODEL,
        textTokens: LONG,
        secondsPerRow: a,
        secondsPerRowSquared: b,
        worstFit: worst,
        ratio: {
          pages: model(LONG) / (model(LONG / 3) + encode),
          stacked: model(LONG) / (model(LONG / 4) + encode),
          pagesWithoutEncode: model(LONG) / model(LONG / 3),
          stackedWithoutEncode: model(LONG) / model(LONG / 4),
        },
      });
    } finally {
      await engine.close();
    }
  },
  7_200_000,
);

/** Of all threads: what the work costs, however busy the machine is. */
function cpuSeconds(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

async function never(): Promise<Int32Array> {
  throw new Error('nothing is dropped here');
}

/** s = a · n + b · n², by relative error. */
function fitted(points: [n: number, seconds: number][]): { a: number; b: number } {
  // Both sides over s: 1 = a · (n / s) + b · (n² / s).
  let [uu, uv, vv, u1, v1] = [0, 0, 0, 0, 0];
  for (const [n, s] of points.filter(([n]) => n > 1000)) {
    const [u, v] = [n / s, (n * n) / s];
    uu += u * u;
    uv += u * v;
    vv += v * v;
    u1 += u;
    v1 += v;
  }
  const determinant = uu * vv - uv * uv;
  return { a: (u1 * vv - v1 * uv) / determinant, b: (v1 * uu - u1 * uv) / determinant };
}
