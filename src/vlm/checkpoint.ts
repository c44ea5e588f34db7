/**
 * A Hugging Face checkpoint folder, opened and checked: every config read, every weight found with
 * the shape that the config promises. No tensor data is read here.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { GlyphpressError } from '../errors.js';
import { type Calibrations, parseCalibrations } from './calibration.js';
import { ConfigReader } from './config-reader.js';
import type { ModelConfig } from './families/family.js';
import { familyOf } from './families/registry.js';
import { storedNames, weightShapes } from './families/weights.js';
import { type ImageProcessorConfig, parseImageProcessorConfig } from './image-processor.js';
import { type PassageReading, passageReading } from './passage-reading.js';
import { SafetensorsFile } from './safetensors.js';
import type { VisionModel } from './towers/tower.js';
import { elementCount, findWeight, formOf, type StoredWeight } from './weights/stored-weight.js';

const INDEX_FILE = 'model.safetensors.index.json';
const PREPROCESSOR_FILE = 'preprocessor_config.json';
const PROCESSOR_FILE = 'processor_config.json';
const SINGLE_FILE = 'model.safetensors';
const FULL_HASH_BYTES = 256 * 1024 * 1024;
const SAMPLE_BYTES = 64 * 1024;
const SAMPLES_PER_SHARD = 64;

export interface Checkpoint {
  dir: string;
  config: ModelConfig;
  /** null for a model that reads text only. */
  imageProcessor: ImageProcessorConfig | null;
  /** Canonical name → where it lies, in the order of `weightShapes`. */
  weights: Map<string, StoredWeight>;
  shards: readonly SafetensorsFile[];
  /** The type of the weights as they are stored, `F32` or `int4` for example, or "mixed". */
  storedDtype: string;
  /** What the decoder's weights were quantised to before; null for a checkpoint of floats. */
  quantisedDtype: 'int8' | 'int4' | null;
  parameters: number;
  /** Generation ends at any of these. */
  eosTokenIds: readonly number[];
  /** `max_new_tokens` of generation_config.json; null where it states none. */
  maxNewTokens: number | null;
  tokenizerJson: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown>;
  chatTemplate: string;
  /** Names the content of the folder: equal bytes, equal hash. Computed on first use, before close. */
  readonly hash: string;
  /** False only for a checkpoint that says so itself. */
  trained: boolean;
  /** What its makers want said before its answers are believed; null for nothing. */
  notice: string | null;
  /** What makes its log-probabilities chances, as its config.json says. */
  calibrations: Calibrations;
  /** Render config that it was trained to read, as its `glyphpress.render` says; null if it does not. */
  rendering: Readonly<Record<string, unknown>> | null;
  /** How it reads passages of the source best, as measured: `glyphpress.passages`. */
  passages: PassageReading;
  close(): void;
}

export function openCheckpoint(path: string): Checkpoint {
  const dir = resolve(path);
  if (!existsSync(dir) || !statSync(dir).isDirectory()) {
    throw new GlyphpressError('GP_CHECKPOINT', {
      message: `The model folder ${dir} does not exist.`,
      hint: 'Give the path of a Hugging Face checkpoint folder, the one that holds config.json.',
      details: { file: dir },
    });
  }
  const raw = requiredJson(dir, 'config.json', 'It says what model this is.');
  const configFile = join(dir, 'config.json');
  const config = familyOf(raw.model_type, configFile).parseConfig(raw, configFile);
  const imageProcessor = config.vision && readImageProcessor(dir, config.vision);
  const generation = optionalJson(dir, 'generation_config.json') ?? {};
  const tokenizerJson = requiredJson(
    dir,
    'tokenizer.json',
    'Slow-tokenizer files alone are not enough.',
  );
  const tokenizerConfig = optionalJson(dir, 'tokenizer_config.json') ?? {};
  const chatTemplate = readChatTemplate(dir, tokenizerConfig);

  const shards = openShards(dir);
  try {
    const weights = findWeights(config, shards, dir);
    const forms = new Set([...weights.values()].map(formOf));
    let hash: string | undefined;
    const glyphpress = new ConfigReader(raw, configFile).child('glyphpress');
    return {
      dir,
      config,
      imageProcessor,
      weights,
      shards,
      storedDtype: forms.size === 1 ? [...forms][0]! : 'mixed',
      quantisedDtype: forms.has('int4') ? 'int4' : forms.has('int8') ? 'int8' : null,
      parameters: [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
      eosTokenIds: eosTokens(generation, raw),
      maxNewTokens: maxNewTokens(generation),
      tokenizerJson,
      tokenizerConfig,
      chatTemplate,
      get hash() {
        hash ??= hashCheckpoint(dir, shards, chatTemplate);
        return hash;
      },
      trained: glyphpress?.boolean('trained', true) ?? true,
      notice: glyphpress?.string('notice', '') || null,
      calibrations: parseCalibrations(glyphpress),
      rendering: glyphpress?.object('render') ?? null,
      passages: passageReading(glyphpress),
      close: () => {
        for (const shard of shards) shard.close();
      },
    };
  } catch (error) {
    for (const shard of shards) shard.close();
    throw error;
  }
}

/** Newer folders keep it inside processor_config.json. */
function readImageProcessor(dir: string, vision: VisionModel): ImageProcessorConfig {
  const own = optionalJson(dir, PREPROCESSOR_FILE);
  const joint = own ? undefined : optionalJson(dir, PROCESSOR_FILE)?.image_processor;
  if (typeof joint === 'object' && joint !== null) {
    const file = join(dir, PROCESSOR_FILE);
    return parseImageProcessorConfig(joint as Record<string, unknown>, file, vision);
  }
  const raw = requiredJson(dir, PREPROCESSOR_FILE, 'It says how large page images may be.');
  return parseImageProcessorConfig(raw, join(dir, PREPROCESSOR_FILE), vision);
}

function openShards(dir: string): SafetensorsFile[] {
  const index = optionalJson(dir, INDEX_FILE);
  let names = [SINGLE_FILE];
  if (index) {
    const map = index.weight_map;
    if (typeof map !== 'object' || map === null || Array.isArray(map)) {
      throw missing(join(dir, INDEX_FILE), 'has no weight_map', 'Get the file again.');
    }
    names = [...new Set(Object.values(map).map(String))].sort();
    const outside = names.find((name) => /[\\/]/.test(name) || name === '..');
    if (outside !== undefined) {
      throw missing(
        join(dir, INDEX_FILE),
        `names ${outside}, outside the folder`,
        'Get the file again.',
      );
    }
  } else if (!existsSync(join(dir, SINGLE_FILE))) {
    throw missing(
      join(dir, SINGLE_FILE),
      'does not exist',
      `Weights must be in ${SINGLE_FILE} or in shards listed by ${INDEX_FILE}; .bin and .gguf files are not read.`,
    );
  }
  const open: SafetensorsFile[] = [];
  try {
    for (const name of names) {
      const path = join(dir, name);
      if (!existsSync(path))
        throw missing(path, 'does not exist', `${INDEX_FILE} lists it; download every shard.`);
      // Hub caches hold links; ONNX Runtime refuses to follow them out of the folder, so resolve here.
      open.push(SafetensorsFile.open(realpathSync(path)));
    }
  } catch (error) {
    for (const shard of open) shard.close();
    throw error;
  }
  return open;
}

function findWeights(
  config: ModelConfig,
  shards: readonly SafetensorsFile[],
  dir: string,
): Map<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  for (const [name, shape] of weightShapes(config)) {
    const found = findWeight(storedNames(name), shape, shards);
    if (!found) {
      const file = shards.length === 1 ? shards[0]!.path : join(dir, INDEX_FILE);
      throw new GlyphpressError('GP_CHECKPOINT', {
        message: `${file}: tensor ${name} is missing.`,
        hint: 'Get the checkpoint again; if config.json was edited, undo it.',
        details: { file, tensor: name, alsoLookedFor: storedNames(name).slice(1) },
      });
    }
    weights.set(name, found);
  }
  return weights;
}

function eosTokens(generation: Record<string, unknown>, raw: Record<string, unknown>): number[] {
  const text = raw.text_config as Record<string, unknown> | undefined;
  const value = generation.eos_token_id ?? raw.eos_token_id ?? text?.eos_token_id ?? [];
  return [value].flat().filter((id): id is number => Number.isSafeInteger(id));
}

function maxNewTokens({ max_new_tokens: value }: Record<string, unknown>): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** A template of its own file wins over the one in tokenizer_config.json, as in transformers. */
function readChatTemplate(dir: string, tokenizerConfig: Record<string, unknown>): string {
  const plain = join(dir, 'chat_template.jinja');
  if (existsSync(plain)) return readFileSync(plain, 'utf8');
  const template =
    optionalJson(dir, 'chat_template.json')?.chat_template ?? tokenizerConfig.chat_template;
  if (typeof template === 'string') return template;
  if (Array.isArray(template)) {
    const named = template.find((entry) => entry?.name === 'default') ?? template[0];
    if (typeof named?.template === 'string') return named.template;
  }
  throw missing(
    plain,
    'does not exist, and neither chat_template.json nor tokenizer_config.json holds a template',
    'Use an instruction-tuned checkpoint with its chat template.',
  );
}

function requiredJson(dir: string, name: string, why: string): Record<string, unknown> {
  const value = optionalJson(dir, name);
  if (!value)
    throw missing(join(dir, name), 'does not exist', `A checkpoint folder needs ${name}. ${why}`);
  return value;
}

function optionalJson(dir: string, name: string): Record<string, unknown> | undefined {
  const file = join(dir, name);
  if (!existsSync(file)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw missing(file, `is not JSON: ${(cause as Error).message}`, 'Get the file again.', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw missing(file, 'is not a JSON object', 'Get the file again.');
  }
  return value as Record<string, unknown>;
}

function missing(file: string, problem: string, hint: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_CHECKPOINT', {
    message: `${file} ${problem}.`,
    hint,
    details: { file },
    cause,
  });
}

/**
 * SHA-256 over the small files and the weights. Up to 256 MiB of weights are hashed whole; of larger
 * checkpoints the tensor directory and 64 evenly spread samples of 64 KiB a shard, because reading
 * 20 GB at every start would cost more than it protects from.
 */
function hashCheckpoint(
  dir: string,
  shards: readonly SafetensorsFile[],
  chatTemplate: string,
): string {
  const hash = createHash('sha256');
  const own = ['config.json', PREPROCESSOR_FILE, 'generation_config.json', 'tokenizer.json'];
  const joint = existsSync(join(dir, PROCESSOR_FILE)) ? [PROCESSOR_FILE] : [];
  for (const name of [...own, ...joint]) {
    const file = join(dir, name);
    hash.update(`${name}\0`).update(hashedContent(file, name)).update('\0');
  }
  hash.update(chatTemplate);
  const total = shards.reduce((sum, shard) => sum + dataBytes(shard), 0);
  for (const shard of shards) {
    hash.update(JSON.stringify([...shard.tensors.values()]));
    const tensors = [...shard.tensors.values()];
    if (total <= FULL_HASH_BYTES) {
      for (const { name } of tensors) hash.update(shard.readBytes(name));
      continue;
    }
    const step = Math.max(1, Math.floor(tensors.length / SAMPLES_PER_SHARD));
    for (let n = 0; n < tensors.length; n += step) {
      const { name, byteLength } = tensors[n]!;
      const length = Math.min(SAMPLE_BYTES, byteLength);
      hash.update(shard.readBytes(name, Math.floor((byteLength - length) / 2), length));
    }
  }
  return hash.digest('hex');
}

/** A calibration and the way of reading passages change no context: those made before are as good as those made after. */
function hashedContent(file: string, name: string): string | Buffer {
  if (!existsSync(file)) return '';
  const bytes = readFileSync(file);
  if (name !== 'config.json') return bytes;
  const { glyphpress, ...config } = JSON.parse(bytes.toString('utf8'));
  const { calibration: _, text_calibration: __, passages: ___, ...notes } = glyphpress ?? {};
  return JSON.stringify(Object.keys(notes).length > 0 ? { ...config, glyphpress: notes } : config);
}

function dataBytes(shard: SafetensorsFile): number {
  return [...shard.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
