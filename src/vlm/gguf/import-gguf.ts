/**
 * A GGUF file of a text model → a checkpoint folder in the cache, with which everything else works as
 * with a folder from the hub.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { cacheFolder } from '../../cache-folder.js';
import { GlyphpressError } from '../../errors.js';
import { makeFolder, unusableOutput } from '../../output-folder.js';
import { type WritableTensor, writeSafetensors } from '../safetensors-writer.js';
import { GgufFile } from './gguf-file.js';
import { checkpointTensors, type RowOrder } from './gguf-tensors.js';
import { tokenizerOf } from './gguf-tokenizer.js';

/** Part of the folder's name: raise it when equal files come out as other folders. */
const IMPORT_VERSION = 2;

const SAMPLES = 64;
const SAMPLE_BYTES = 64 * 1024;

/** Architectures that are read; the name is also the `model_type`. */
const ARCHITECTURES = ['llama', 'qwen2', 'qwen3'];

/** Weights outside of layers, by their name there. */
const OUTER_NAMES: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

/** Weights of a layer, `blk.N.` before and `.weight` or `.bias` behind. */
const LAYER_NAMES: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/**
 * @returns the checkpoint folder, made unless it is there from before
 * @throws GP_CHECKPOINT, GP_MODEL_FAMILY for another architecture, GP_MODEL_DTYPE for other types
 */
export async function importGguf(path: string, cacheDir: string = cacheFolder()): Promise<string> {
  const file = GgufFile.open(resolve(path));
  try {
    const folder = join(resolve(cacheDir), 'models', `gguf-${digestOf(file).slice(0, 32)}`);
    if (existsSync(join(folder, 'config.json'))) return folder;
    const temporary = `${folder}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      await makeFolder(temporary);
      await writeCheckpoint(file, temporary);
      await moveInto(temporary, folder);
    } catch (cause) {
      await rm(temporary, { recursive: true, force: true });
      if (cause instanceof GlyphpressError) throw cause;
      const megabytes = Math.ceil(file.size / 1e6);
      const hint = `The model takes ${megabytes} MB: set GLYPHPRESS_CACHE to a folder with that much space.`;
      throw unusableOutput(folder, cause, hint);
    }
    return folder;
  } finally {
    file.close();
  }
}

/** Another process may have made the same folder meanwhile. */
async function moveInto(temporary: string, folder: string): Promise<void> {
  try {
    await rename(temporary, folder);
  } catch (cause) {
    if (!existsSync(join(folder, 'config.json'))) throw cause;
    await rm(temporary, { recursive: true, force: true });
  }
}

async function writeCheckpoint(file: GgufFile, folder: string): Promise<void> {
  const config = configOf(file);
  const { tokenizerJson, tokenizerConfig, eosTokenIds } = tokenizerOf(file);
  const template = file.metadata.get('tokenizer.chat_template');
  if (typeof template !== 'string') {
    throw new GlyphpressError('GP_CHECKPOINT', {
      message: `${file.path} has no chat template: it is a model that continues texts, not one that answers.`,
      hint: 'Use the instruction-tuned file of this model; its name often says Instruct or Chat.',
      details: { file: file.path },
    });
  }
  await writeSafetensors(join(folder, 'model.safetensors'), weightsOf(file, config), {
    format: 'pt',
  });
  const write = (name: string, content: unknown) =>
    writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  await write('tokenizer.json', tokenizerJson);
  await write('tokenizer_config.json', tokenizerConfig);
  await write('chat_template.jinja', template);
  await write('generation_config.json', { eos_token_id: eosTokenIds });
  await write('config.json', config);
}

interface GgufConfig {
  model_type: string;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  [key: string]: unknown;
}

/** The config.json that transformers has for the same model. */
function configOf(file: GgufFile): GgufConfig {
  const architecture = file.string('general.architecture');
  if (!ARCHITECTURES.includes(architecture)) {
    throw new GlyphpressError('GP_MODEL_FAMILY', {
      message: `${file.path} is a model of the architecture "${architecture}"; ${ARCHITECTURES.join(', ')} are read from GGUF.`,
      hint: 'Use the safetensors upload of the model if its family is supported (glyphpress models --known).',
      details: { file: file.path, architecture, supported: ARCHITECTURES },
    });
  }
  const number = (key: string, fallback?: number) =>
    file.number(`${architecture}.${key}`, fallback);
  const scaling = file.string(`${architecture}.rope.scaling.type`, 'none');
  if (scaling !== 'none' || file.tensors.has('rope_freqs.weight')) {
    throw new GlyphpressError('GP_CHECKPOINT', {
      message: `${file.path} stretches its positions (rope scaling ${scaling === 'none' ? 'by frequency factors' : scaling}), which is not supported.`,
      hint: 'Use a model without rope scaling, or serve it with llama.cpp and use the openai backend.',
      details: { file: file.path, scaling },
    });
  }
  const hidden = number('embedding_length');
  const heads = number('attention.head_count');
  const vocabulary = file.tensors.get('token_embd.weight')?.shape[0];
  return {
    model_type: architecture,
    hidden_size: hidden,
    intermediate_size: number('feed_forward_length'),
    num_hidden_layers: number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: number('attention.head_count_kv', heads),
    head_dim: number('attention.key_length', hidden / heads),
    rms_norm_eps: number('attention.layer_norm_rms_epsilon'),
    rope_theta: number('rope.freq_base', 10_000),
    max_position_embeddings: number('context_length'),
    vocab_size: vocabulary ?? file.list('tokenizer.ggml.tokens').length,
    tie_word_embeddings: !file.tensors.has('output.weight'),
    attention_bias: file.tensors.has('blk.0.attn_q.bias'),
    hidden_act: 'silu',
    glyphpress: { source: basename(file.path) },
  };
}

function weightsOf(file: GgufFile, config: GgufConfig): WritableTensor[] {
  return [...file.tensors.values()].flatMap((tensor) => {
    const name = weightName(tensor.name);
    // What is not in the list belongs to no graph of ours; what a graph lacks is found when it is opened.
    if (!name) return [];
    return checkpointTensors(file, tensor, name, rowOrder(name, config));
  });
}

function weightName(name: string): string | undefined {
  if (OUTER_NAMES[name]) return OUTER_NAMES[name];
  const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const known = part && LAYER_NAMES[part];
  return known ? `model.layers.${layer}.${known}.${kind}` : undefined;
}

/**
 * Llama's files interleave the two halves of each head of q and k, for rotary in (even, odd) pairs. Row
 * j · (D/2) + i of a head is row 2i + j there. (llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute.)
 */
function rowOrder(name: string, config: GgufConfig): RowOrder | undefined {
  if (config.model_type !== 'llama' || !/\.[qk]_proj\./.test(name)) return undefined;
  const width = config.head_dim;
  return (row) => {
    const inHead = row % width;
    const half = width / 2;
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  };
}

/** Header, size and evenly spread samples: a file of gigabytes is not read whole at every start. */
function digestOf(file: GgufFile): string {
  const hash = createHash('sha256').update(`${IMPORT_VERSION} ${file.size}`);
  hash.update(file.readAt(0, file.dataStart));
  const step = Math.max(SAMPLE_BYTES, Math.floor((file.size - file.dataStart) / SAMPLES));
  for (let at = file.dataStart; at < file.size; at += step) {
    hash.update(file.readAt(at, SAMPLE_BYTES));
  }
  return hash.digest('hex');
}
