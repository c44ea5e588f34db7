/**
 * What do keys and values in fewer bits cost an answer, and what do they save? SmolLM2-135M-Instruct over DEPTH (2048)
 * tokens of prose: the likeliest token and its log-probability after each of FURTHER (64) further tokens, against float32 keys and
 * values; bytes; time of a token.
 *
 * SMOLLM2_GGUF is the file; peers/fetch-smollm2.sh gets it.
 */
import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { Engine } from '../../src/vlm/engine.js';
import { KV_DTYPES, type KvDtype } from '../../src/vlm/kv-rows.js';
import { locateModel } from '../../src/vlm/model-location.js';
import { promptRows, promptShape } from '../../src/vlm/prompt.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import { proseText } from './bench-text.js';
import { emit, median } from './measure.js';

const FILE = process.env.SMOLLM2_GGUF;
const DEPTH = Number(process.env.DEPTH ?? 2048);
const FURTHER = Number(process.env.FURTHER ?? 64);
const DECODED = 24;

it.runIf(FILE)(
  'holds keys and values in fewer bits',
  async () => {
    const dir = await locateModel(FILE!);
    const checkpoint = openCheckpoint(dir);
    const tokenizer = new Tokenizer(checkpoint.tokenizerJson, checkpoint.tokenizerConfig, dir);
    const ids = tokenizer.encodeLiteral(proseText(40_000)).slice(0, DEPTH + FURTHER);
    checkpoint.close();
    let exact: [id: number, logProb: number][] = [];
    for (const kvDtype of KV_DTYPES) {
      const { likeliest, bytes, tokenMs } = await run(dir, kvDtype, ids);
      if (kvDtype === 'fp32') exact = likeliest;
      const same = likeliest.filter(([id], n) => id === exact[n]![0]);
      const differences = likeliest.flatMap(([id, logProb], n) =>
        id === exact[n]![0] ? [Math.abs(logProb - exact[n]![1])] : [],
      );
      emit({
        bench: 'kv-dtype',
        kvDtype,
        depth: DEPTH,
        megabytes: bytes / 1e6,
        sameToken: same.length / FURTHER,
        logProbDifference: {
          mean: differences.reduce((sum, value) => sum + value, 0) / differences.length,
          max: Math.max(...differences),
        },
        tokenMs,
      });
      expect(same.length).toBeGreaterThan(0);
    }
  },
  1_800_000,
);

async function run(dir: string, kvDtype: KvDtype, ids: readonly number[]) {
  const threads = Math.min(2, availableParallelism());
  const engine = await Engine.open(dir, { kvDtype, threads });
  try {
    const rows = promptRows(ids.slice(0, DEPTH), promptShape(engine.checkpoint.config), []);
    const { handle, caches } = await engine.prefill(rows, [], { select: never });
    const bytes = caches.reduce(
      (sum, cache) => sum + (cache.byteLength * cache.length) / cache.capacity,
      0,
    );
    const ask = async (tokenIds: number[], maxNewTokens: number) => {
      const tokens: [id: number, logProb: number, at: number][] = [];
      const request = { tokenIds, position: DEPTH, maxNewTokens, sampling: {}, stopLoops: false };
      await engine.generate(handle, request, (id, logProb) =>
        tokens.push([id, logProb, performance.now()]),
      );
      return tokens;
    };
    const likeliest: [id: number, logProb: number][] = [];
    for (let count = 1; count <= FURTHER; count += 1) {
      const [token] = await ask(ids.slice(DEPTH, DEPTH + count), 1);
      likeliest.push([token?.[0] ?? -1, token?.[1] ?? 0]);
    }
    const decoded = await ask(ids.slice(DEPTH, DEPTH + 8), DECODED);
    const steps = decoded.slice(1).map(([, , at], n) => at - decoded[n]![2]);
    return { likeliest, bytes, tokenMs: steps.length > 0 ? median(steps) : null };
  } finally {
    await engine.close();
  }
}

async function never(): Promise<Int32Array> {
  throw new Error('nothing is dropped here');
}
