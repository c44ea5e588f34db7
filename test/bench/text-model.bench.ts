/**
 * Is a text model here as fast as in llama.cpp, and does it say the same? SmolLM2-135M-Instruct from one GGUF
 * file, asked with equal token ids in turn: prefill and decode at each depth as stored (int4 here), and the
 * greedy tokens of 20 prompts.
 *
 * SMOLLM2_GGUF is the file and NODE_LLAMA_CPP a folder with node-llama-cpp; peers/fetch-smollm2.sh gets both.
 * SMOLLM2_F32_GGUF is the same with all weights in float32, by peers/widen-gguf.py: without it llama.cpp answers from
 * the first file, with rows of eight bits, and tokens are compared with that.
 * DEPTHS (512,4096), TOKENS (32), ROUNDS (3) and PROMPTS (20) may be smaller on a slow machine. On a busy one THREADS=1
 * and the processor seconds say what the clock does not: llama.cpp's threads wait for each other by spinning.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { Engine } from '../../src/vlm/engine.js';
import { locateModel } from '../../src/vlm/model-location.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import { proseText } from './bench-text.js';
import { emit, median } from './measure.js';

const { SMOLLM2_GGUF: FILE, SMOLLM2_F32_GGUF: WIDE_FILE } = process.env;
const { NODE_LLAMA_CPP, DEPTHS = '512,4096', TOKENS = '32' } = process.env;
const THREADS = Number(process.env.THREADS ?? Math.min(2, availableParallelism()));
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const PROMPTS = Number(process.env.PROMPTS ?? 20);
const PEER = new URL('./peers/llama-cpp.mjs', import.meta.url).pathname;

interface Run {
  prefillMs: number;
  decodeMs: number;
  /** Of all threads of the process. */
  prefillCpuMs: number;
  decodeCpuMs: number;
  tokens: number[];
}
type Ask = (ids: number[], tokens: number) => Promise<Run>;

async function ours(dir: string, dtype?: string): Promise<{ ask: Ask; close(): Promise<void> }> {
  const engine = await Engine.open(dir, { threads: THREADS, ...(dtype && { dtype }) });
  const { layers } = engine.checkpoint.config.text;
  const none = { length: 0, keys: new Float32Array(0), values: new Float32Array(0) };
  return {
    close: () => engine.close(),
    async ask(ids, maxNewTokens) {
      const handle = engine.loadContext(Array.from({ length: layers }, () => none));
      const tokens: number[] = [];
      const [start, before] = [performance.now(), process.cpuUsage()];
      let first = 0;
      let atFirst = before;
      const request = { tokenIds: ids, position: 0, maxNewTokens, sampling: {}, stopLoops: false };
      await engine.generate(handle, request, (id) => {
        if (tokens.length === 0) [first, atFirst] = [performance.now(), process.cpuUsage()];
        tokens.push(id);
      });
      const end = process.cpuUsage();
      engine.dropContext(handle);
      return {
        prefillMs: first - start,
        decodeMs: performance.now() - first,
        prefillCpuMs: cpuMs(before, atFirst),
        decodeCpuMs: cpuMs(atFirst, end),
        tokens,
      };
    },
  };
}

async function theirs(file: string, kv = 'F16'): Promise<{ ask: Ask; close(): Promise<void> }> {
  const child = spawn(process.execPath, [PEER, file, String(THREADS), kv], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async ask(ids, tokens) {
      child.stdin.write(`${JSON.stringify({ ids, tokens })}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('llama.cpp ended');
      return JSON.parse(value);
    },
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

const perSecond = (count: number, ms: number) => (1000 * count) / ms;
const cpuMs = (from: NodeJS.CpuUsage, to: NodeJS.CpuUsage) =>
  (to.user - from.user + to.system - from.system) / 1000;

it.runIf(FILE && NODE_LLAMA_CPP)(
  'reads and writes tokens',
  async () => {
    const dir = await locateModel(FILE!);
    const checkpoint = openCheckpoint(dir);
    const tokenizer = new Tokenizer(checkpoint.tokenizerJson, checkpoint.tokenizerConfig, dir);
    const ids = tokenizer.encodeLiteral(proseText(40_000));
    checkpoint.close();
    const sides = { ours: await ours(dir), theirs: await theirs(FILE!) };
    // What is loaded with the first question is not the question's.
    for (const side of Object.values(sides)) await side.ask(ids.slice(0, 8), 2);
    for (const depth of DEPTHS.split(',').map(Number)) {
      const runs = { ours: [] as Run[], theirs: [] as Run[] };
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const side of ['ours', 'theirs'] as const) {
          runs[side].push(await sides[side].ask(ids.slice(0, depth), Number(TOKENS)));
        }
      }
      const rates = (side: 'ours' | 'theirs') => ({
        prefill: median(runs[side].map(({ prefillMs }) => perSecond(depth, prefillMs))),
        decode: median(
          runs[side].map(({ decodeMs, tokens }) => perSecond(tokens.length - 1, decodeMs)),
        ),
        prefillCpuMs: median(runs[side].map(({ prefillCpuMs }) => prefillCpuMs / depth)),
        decodeCpuMs: median(
          runs[side].map(({ decodeCpuMs, tokens }) => decodeCpuMs / (tokens.length - 1)),
        ),
      });
      const [own, peer] = [rates('ours'), rates('theirs')];
      emit({
        bench: 'text-model',
        depth,
        threads: THREADS,
        prefillPerSecond: { ours: own.prefill, theirs: peer.prefill },
        decodePerSecond: { ours: own.decode, theirs: peer.decode },
        prefillCpuMsPerToken: { ours: own.prefillCpuMs, theirs: peer.prefillCpuMs },
        decodeCpuMsPerToken: { ours: own.decodeCpuMs, theirs: peer.decodeCpuMs },
        prefillRatio: own.prefill / peer.prefill,
        decodeRatio: own.decode / peer.decode,
      });
      expect(own.decode).toBeGreaterThan(0);
    }
    await Promise.all(Object.values(sides).map((side) => side.close()));
  },
  1_800_000,
);

it.runIf(FILE && NODE_LLAMA_CPP)(
  'says the same',
  async () => {
    const dir = await locateModel(FILE!);
    const checkpoint = openCheckpoint(dir);
    const tokenizer = new Tokenizer(checkpoint.tokenizerJson, checkpoint.tokenizerConfig, dir);
    checkpoint.close();
    const words = proseText(40_000).split(/(?<=[.;])\s+/);
    const prompts = words
      .slice(0, PROMPTS)
      .map((sentence) =>
        tokenizer.encode(
          `<|im_start|>user\nContinue: ${sentence}<|im_end|>\n<|im_start|>assistant\n`,
        ),
      );
    const pairs = [
      ...(WIDE_FILE ? [{ dtype: 'fp32', file: WIDE_FILE, kv: 'F32' }] : []),
      // Theirs rounds rows to eight bits beside the file's four-bit weights; ours does so in int4 only.
      ...['fp32', 'int4'].map((dtype) => ({ dtype, file: FILE!, kv: 'F16' })),
    ];
    for (const { dtype, file, kv } of pairs) {
      const own = await ours(dir, dtype);
      const peer = await theirs(file, kv);
      const prefixes: number[] = [];
      for (const ids of prompts) {
        const [a, b] = [await own.ask(ids, Number(TOKENS)), await peer.ask(ids, Number(TOKENS))];
        const differs = a.tokens.findIndex((token, n) => token !== b.tokens[n]);
        prefixes.push(differs < 0 ? 1 : differs / a.tokens.length);
      }
      emit({
        bench: 'text-model-tokens',
        dtype,
        theirs: kv === 'F32' ? 'float32' : 'as stored',
        prompts: prefixes.length,
        tokens: Number(TOKENS),
        equalAnswers: prefixes.filter((share) => share === 1).length,
        equalPrefix: prefixes.reduce((sum, share) => sum + share, 0) / prefixes.length,
      });
      // Two programs over one file agree at least at the beginning.
      expect(median(prefixes)).toBeGreaterThan(0);
      await Promise.all([own.close(), peer.close()]);
    }
  },
  1_800_000,
);
