/** A GGUF file as a model: the same weights as a checkpoint folder, the same logits. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importGguf } from '../../src/vlm/gguf/import-gguf.js';
import { VisionLanguageModel } from '../../src/vlm/model.js';
import { locateModel } from '../../src/vlm/model-location.js';
import { writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import {
  f32Tensor,
  ggufBytes,
  type MetadataValue,
  type TensorToWrite,
  TINY_VOCABULARY,
} from './gguf-writer.js';
import { maxAbsDifference } from './golden.js';

const scratch = mkdtempSync(join(tmpdir(), 'glyphpress-gguf-model-'));
const cacheDir = join(scratch, 'cache');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 8;
const HIDDEN = HEADS * HEAD_DIM;
const WIDTH = 64;
const LAYERS = 2;
const TOKENS = TINY_VOCABULARY['tokenizer.ggml.tokens'] as string[];
const TEMPLATE =
  "{% for message in messages %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}<note>{% endif %}";

/** Repeatable numbers in (−0.5, 0.5). */
function numbers(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

interface Weight {
  hub: string;
  gguf: string;
  shape: number[];
  data: Float32Array;
}

function weights(): Weight[] {
  const all: Weight[] = [];
  const add = (hub: string, gguf: string, ...shape: number[]) =>
    all.push({
      hub,
      gguf,
      shape,
      data: numbers(
        shape.reduce((a, b) => a * b, 1),
        all.length + 1,
      ),
    });
  add('model.embed_tokens.weight', 'token_embd.weight', TOKENS.length, HIDDEN);
  for (let n = 0; n < LAYERS; n += 1) {
    const layer = (hub: string, gguf: string, ...shape: number[]) =>
      add(`model.layers.${n}.${hub}.weight`, `blk.${n}.${gguf}.weight`, ...shape);
    layer('input_layernorm', 'attn_norm', HIDDEN);
    layer('self_attn.q_proj', 'attn_q', HIDDEN, HIDDEN);
    layer('self_attn.k_proj', 'attn_k', KV_HEADS * HEAD_DIM, HIDDEN);
    layer('self_attn.v_proj', 'attn_v', KV_HEADS * HEAD_DIM, HIDDEN);
    layer('self_attn.o_proj', 'attn_output', HIDDEN, HIDDEN);
    layer('post_attention_layernorm', 'ffn_norm', HIDDEN);
    layer('mlp.gate_proj', 'ffn_gate', WIDTH, HIDDEN);
    layer('mlp.up_proj', 'ffn_up', WIDTH, HIDDEN);
    layer('mlp.down_proj', 'ffn_down', HIDDEN, WIDTH);
  }
  add('model.norm.weight', 'output_norm.weight', HIDDEN);
  return all;
}

/** As llama.cpp's converter does it: [heads, 2, D/2, in] → [heads, D/2, 2, in]. */
function interleaved({ data, shape }: Weight): Float32Array {
  const [rows, columns] = shape as [number, number];
  const half = HEAD_DIM / 2;
  const out = new Float32Array(data.length);
  for (let head = 0; head < rows / HEAD_DIM; head += 1) {
    for (let j = 0; j < 2; j += 1) {
      for (let i = 0; i < half; i += 1) {
        const from = (head * HEAD_DIM + j * half + i) * columns;
        const to = (head * HEAD_DIM + i * 2 + j) * columns;
        out.set(data.subarray(from, from + columns), to);
      }
    }
  }
  return out;
}

const metadata: Record<string, MetadataValue> = {
  ...TINY_VOCABULARY,
  'tokenizer.chat_template': TEMPLATE,
  'general.architecture': 'llama',
  'llama.block_count': LAYERS,
  'llama.context_length': 256,
  'llama.embedding_length': HIDDEN,
  'llama.feed_forward_length': WIDTH,
  'llama.attention.head_count': HEADS,
  'llama.attention.head_count_kv': KV_HEADS,
  'llama.attention.layer_norm_rms_epsilon': 0.1,
  'llama.rope.freq_base': 100.5,
};

function ggufFile(name: string, change: Record<string, MetadataValue> = {}): string {
  const tensors: TensorToWrite[] = weights().map((weight) => {
    const isPermuted = /attn_[qk]\./.test(weight.gguf);
    const data = isPermuted ? interleaved(weight) : weight.data;
    return f32Tensor(weight.gguf, weight.shape, data);
  });
  const path = join(scratch, name);
  writeFileSync(path, ggufBytes({ ...metadata, ...change }, tensors));
  return path;
}

/** The same model as transformers would save it. */
async function hubFolder(tokenizerFrom: string): Promise<string> {
  const folder = join(scratch, 'hub');
  mkdirSync(folder);
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    writeFileSync(join(folder, name), readFileSync(join(tokenizerFrom, name)));
  }
  writeFileSync(join(folder, 'chat_template.jinja'), TEMPLATE);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      model_type: 'llama',
      hidden_size: HIDDEN,
      intermediate_size: WIDTH,
      num_hidden_layers: LAYERS,
      num_attention_heads: HEADS,
      num_key_value_heads: KV_HEADS,
      rms_norm_eps: Math.fround(0.1),
      rope_theta: 100.5,
      max_position_embeddings: 256,
      vocab_size: TOKENS.length,
      tie_word_embeddings: true,
    }),
  );
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    weights().map(({ hub, shape, data }) => ({ name: hub, dtype: 'F32', shape, data })),
  );
  return folder;
}

async function logits(dir: string): Promise<Float32Array> {
  const model = await VisionLanguageModel.open(dir, { threads: 1, cacheDir });
  const { logits } = await model.forward([], 'ab abc 12 ab');
  await model.close();
  return logits;
}

describe('importGguf', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await importGguf(ggufFile('tiny.gguf'), cacheDir);
  });

  it('gives the model that the checkpoint folder gives, with q and k in their own order', async () => {
    const expected = await logits(await hubFolder(folder));
    expect(maxAbsDifference(await logits(folder), expected)).toBeLessThan(1e-6);
    expect(expected.some((value) => Math.abs(value) > 0.01)).toBe(true);
  });

  it('is done once for a file, and found by its path', async () => {
    expect(await locateModel(join(scratch, 'tiny.gguf'), { cacheDir })).toBe(folder);
    expect(
      readdirSync(join(cacheDir, 'models')).filter((name) => name.startsWith('gguf')),
    ).toHaveLength(1);
  });

  it.each<[string, Record<string, MetadataValue>, string, RegExp]>([
    ['another architecture', { 'general.architecture': 'mamba' }, 'GP_MODEL_FAMILY', /"mamba"/],
    ['no template', { 'tokenizer.chat_template': 1 }, 'GP_CHECKPOINT', /no chat template/],
    ['stretched positions', { 'llama.rope.scaling.type': 'yarn' }, 'GP_CHECKPOINT', /yarn/],
    ['no layers', { 'llama.block_count': 'two' }, 'GP_CHECKPOINT', /block_count to be a number/],
  ])('refuses a file with %s and leaves nothing', async (name, change, code, message) => {
    const own = join(scratch, `cache-${name}`);
    const file = ggufFile(`${name}.gguf`, change);
    await expect(importGguf(file, own)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(readdirSync(join(own, 'models'))).toEqual([]);
  });
});
