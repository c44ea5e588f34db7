/**
 * A checkpoint folder in the exact shapes of a published model, with random weights: times, bytes and memory are
 * those of the real one, answers are noise. Written a few megabytes at a time, whatever the size.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { familyOf } from '../../src/vlm/families/registry.js';
import { weightShapes } from '../../src/vlm/families/weights.js';
import { KNOWN_MODELS } from '../../src/vlm/known-models.js';
import { safetensorsByteLength, writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import { elementCount } from '../../src/vlm/weights/stored-weight.js';

type Json = Record<string, unknown>;

const FIXTURES = new URL('../fixtures/vlm/', import.meta.url).pathname;

/** Where tokenizer, chat template and the ids of image tokens come from, by family. */
const DONORS: Readonly<Record<string, string>> = {
  glm4v: 'tiny-glm4v',
  qwen3_vl: 'qwen3_vl/model',
  qwen2_5_vl: 'qwen2_5_vl/model',
};

const SHARD_BYTES = 4e9;
const PIECE = 4 * 1024 * 1024;

export interface RandomModel {
  /** Name on the hub of a model whose config is known. */
  id: string;
  /** Decoder layers. @defaultValue all */
  layers?: number | undefined;
}

/** @returns bytes written; 0 if the folder is there from before */
export async function writeRandomModel(
  folder: string,
  { id, layers }: RandomModel,
): Promise<number> {
  if (existsSync(join(folder, 'config.json'))) return 0;
  const known = KNOWN_MODELS.find((model) => model.id === id);
  const donor = known && DONORS[known.family];
  if (!donor) throw new Error(`no shapes for ${id}`);
  mkdirSync(folder, { recursive: true });
  const copied = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
  for (const name of [...copied, 'generation_config.json']) {
    const file = join(FIXTURES, donor, name);
    if (existsSync(file)) cpSync(file, join(folder, name));
  }
  const json = (name: string): Json =>
    JSON.parse(readFileSync(join(FIXTURES, donor, name), 'utf8')) as Json;
  const processor = { ...json('preprocessor_config.json') };
  processor.size = { shortest_edge: 56 * 56, longest_edge: 28 * 28 * 12_288 };
  writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(processor));
  const config = configOf(json('config.json'), known.config, layers);
  const bytes = await writeShards(folder, config);
  // Last: it says that the folder is whole.
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return bytes;
}

/** Ids of special tokens from the donor, everything that has a size from the known model. */
function configOf(donor: Json, known: Json, layers: number | undefined): Json {
  const text = {
    ...(donor.text_config as Json),
    ...(known.text_config as Json),
    max_position_embeddings: 65_536,
    ...(layers !== undefined && { num_hidden_layers: layers }),
  };
  const { text_config: _, vision_config: __, ...outer } = donor;
  // What the donor says of its own small tower and the known model leaves open is the family's default.
  return { ...outer, ...known, text_config: text };
}

async function writeShards(folder: string, config: Json): Promise<number> {
  const parsed = familyOf(config.model_type, folder).parseConfig(config, folder);
  const numbers = randomHalves();
  let turn = 0;
  function* data(count: number, value?: number) {
    for (let done = 0; done < count; done += PIECE) {
      const length = Math.min(PIECE, count - done);
      // Another beginning each time, so that no two matrices are equal.
      turn = (turn + 7919) % PIECE;
      yield value === undefined
        ? numbers.subarray(turn, turn + length)
        : new Uint16Array(length).fill(value);
    }
  }
  const groups: Parameters<typeof writeSafetensors>[1][number][][] = [[]];
  for (const [name, shape] of weightShapes(parsed)) {
    const count = elementCount(shape);
    // Scales of norms are one, biases zero.
    const plain = name.endsWith('.bias') ? 0 : shape.length === 1 ? BFLOAT16_ONE : undefined;
    const tensor = { name, dtype: 'BF16' as const, shape, data: () => data(count, plain) };
    const last = groups.at(-1)!;
    if (safetensorsByteLength([...last, tensor]) <= SHARD_BYTES || last.length === 0)
      last.push(tensor);
    else groups.push([tensor]);
  }
  const map: Record<string, string> = {};
  let bytes = 0;
  for (const [n, tensors] of groups.entries()) {
    const file = `model-${n + 1}-of-${groups.length}.safetensors`;
    await writeSafetensors(join(folder, file), tensors, { format: 'pt' });
    for (const { name } of tensors) map[name] = file;
    bytes += safetensorsByteLength(tensors, { format: 'pt' });
  }
  const index = { metadata: { total_size: bytes }, weight_map: map };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  return bytes;
}

const BFLOAT16_ONE = 0x3f80;

/** bfloat16 bits of numbers of about normal distribution, deviation 0.02: sums of four even ones. */
function randomHalves(): Uint16Array {
  const floats = new Float32Array(2 * PIECE);
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  for (let i = 0; i < floats.length; i += 1) {
    floats[i] = (next() + next() + next() + next()) * Math.sqrt(3) * 0.02;
  }
  const bits = new Uint32Array(floats.buffer);
  return Uint16Array.from(bits, (value) => value >>> 16);
}
