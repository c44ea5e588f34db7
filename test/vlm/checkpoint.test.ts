import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { compileToFolder } from '../../src/vlm/compile.js';
import { EMBEDDING } from '../../src/vlm/decoders/decoder-graph.js';
import { Engine } from '../../src/vlm/engine.js';
import { defaultAnswerTokens, inspectModel } from '../../src/vlm/inspect.js';
import { checkVersion } from '../../src/vlm/runtime.js';
import { writeSafetensors } from '../../src/vlm/safetensors-writer.js';
import { placeWeights } from '../../src/vlm/weights/placement.js';
import { readRows } from '../../src/vlm/weights/stored-weight.js';
import { Golden, maxAbsDifference, READER, TINY } from './golden.js';
import { goldenPrompt, tokenizerOf } from './prompts.js';
import {
  asF16,
  asF32,
  copyCheckpoint,
  editJson,
  replaceWeights,
  roundedToF16,
  tinyWeights,
  type Variant,
} from './variants.js';

const opened: (() => void)[] = [];
afterEach(() => {
  for (const remove of opened.splice(0)) remove();
});

function variant(change?: (dir: string) => void): Variant {
  const copy = copyCheckpoint(change);
  opened.push(copy.remove);
  return copy;
}

function cacheFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'glyphpress-cache-'));
  opened.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function logitsOf(dir: string, cacheDir?: string): Promise<Float32Array> {
  const engine = await Engine.open(dir, { threads: 1, ...(cacheDir ? { cacheDir } : {}) });
  try {
    const prompt = await goldenPrompt(engine, new Golden('three'));
    return (await engine.forward(prompt.whole, [])).logits;
  } finally {
    await engine.close();
  }
}

const QUERY = 'model.language_model.layers.1.self_attn.q_proj.weight';

describe('a broken checkpoint', () => {
  const cut = (dir: string, name: string) => unlinkSync(join(dir, name));
  const text = (dir: string, name: string, content: string) =>
    writeFileSync(join(dir, name), content);

  it.each<[string, (dir: string) => void, string, RegExp]>([
    ['no config', (dir) => cut(dir, 'config.json'), 'GP_CHECKPOINT', /config\.json does not exist/],
    [
      'a config that is not JSON',
      (dir) => text(dir, 'config.json', '{'),
      'GP_CHECKPOINT',
      /config\.json is not JSON/,
    ],
    [
      'a config that is a list',
      (dir) => text(dir, 'config.json', '[]'),
      'GP_CHECKPOINT',
      /config\.json is not a JSON object/,
    ],
    [
      'an unknown family',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          c.model_type = 'mamba';
        }),
      'GP_MODEL_FAMILY',
      /config\.json says model_type "mamba"; supported: glm4v, .*qwen3_vl, lighton_ocr, llama/,
    ],
    [
      'no family',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          delete c.model_type;
        }),
      'GP_MODEL_FAMILY',
      /model_type null/,
    ],
    [
      'a config without layers',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          delete c.text_config.num_hidden_layers;
        }),
      'GP_CHECKPOINT',
      /config\.json: expected text_config\.num_hidden_layers .* got nothing/,
    ],
    [
      'more layers than any model',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          c.text_config.num_hidden_layers = 1e9;
        }),
      'GP_CHECKPOINT',
      /num_hidden_layers to be a whole number from 1 to 1000, got 1000000000/,
    ],
    [
      'rotary sections that do not fit',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          c.text_config.rope_parameters.mrope_section = [1, 1, 1];
        }),
      'GP_CHECKPOINT',
      /rope_parameters\.mrope_section .* sum to 4/,
    ],
    [
      'a rotary type that is not known',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          c.text_config.rope_parameters.rope_type = 'yarn';
        }),
      'GP_CHECKPOINT',
      /rope_type .* got "yarn"/,
    ],
    [
      'no preprocessor',
      (dir) => cut(dir, 'preprocessor_config.json'),
      'GP_CHECKPOINT',
      /preprocessor_config\.json does not exist/,
    ],
    [
      'another patch size',
      (dir) =>
        editJson(dir, 'preprocessor_config.json', (c) => {
          c.patch_size = 16;
        }),
      'GP_CHECKPOINT',
      /preprocessor_config\.json: expected patch_size to be 14 as config\.json says, got 16/,
    ],
    [
      'no tokenizer',
      (dir) => cut(dir, 'tokenizer.json'),
      'GP_CHECKPOINT',
      /tokenizer\.json does not exist/,
    ],
    [
      'no chat template',
      (dir) => cut(dir, 'chat_template.jinja'),
      'GP_CHECKPOINT',
      /chat_template\.jinja does not exist/,
    ],
    [
      'no weights',
      (dir) => cut(dir, 'model.safetensors'),
      'GP_CHECKPOINT',
      /model\.safetensors does not exist/,
    ],
    [
      'truncated weights',
      (dir) => truncateSync(join(dir, 'model.safetensors'), 900_000),
      'GP_CHECKPOINT',
      /model\.safetensors is truncated: tensor model\.visual/,
    ],
    [
      'weights cut inside the header',
      (dir) => truncateSync(join(dir, 'model.safetensors'), 100),
      'GP_CHECKPOINT',
      /model\.safetensors claims a header/,
    ],
    [
      'another size than the config says',
      (dir) =>
        editJson(dir, 'config.json', (c) => {
          c.text_config.vocab_size = 300;
        }),
      'GP_CHECKPOINT',
      /model\.safetensors: tensor \S+embed_tokens\.weight has shape \[272, 64\], config\.json asks for \[300, 64\]/,
    ],
    [
      'an index without a shard',
      (dir) =>
        text(
          dir,
          'model.safetensors.index.json',
          JSON.stringify({ weight_map: { x: 'model-00001-of-00002.safetensors' } }),
        ),
      'GP_CHECKPOINT',
      /model-00001-of-00002\.safetensors does not exist/,
    ],
    [
      'an index that leads out of the folder',
      (dir) =>
        text(
          dir,
          'model.safetensors.index.json',
          JSON.stringify({ weight_map: { x: '../other.safetensors' } }),
        ),
      'GP_CHECKPOINT',
      /outside the folder/,
    ],
    [
      'an index without a map',
      (dir) => text(dir, 'model.safetensors.index.json', '{}'),
      'GP_CHECKPOINT',
      /no weight_map/,
    ],
  ])('with %s says so', (_, change, code, message) => {
    const { dir } = variant(change);
    expect(() => openCheckpoint(dir)).toThrow(message);
    expect(() => openCheckpoint(dir)).toThrow(expect.objectContaining({ code, retryable: false }));
  });

  it('that is not there says so', () => {
    expect(() => openCheckpoint('/no/such/model')).toThrow(
      /model folder \/no\/such\/model does not exist/,
    );
  });

  it('without a tensor names file and tensor', async () => {
    const { dir } = variant();
    await replaceWeights(
      dir,
      tinyWeights()
        .filter(({ name }) => name !== QUERY)
        .map(asF32),
    );
    expect(() => openCheckpoint(dir)).toThrow(
      expect.objectContaining({
        code: 'GP_CHECKPOINT',
        message: expect.stringContaining(`tensor ${QUERY} is missing`),
        details: expect.objectContaining({ file: join(dir, 'model.safetensors'), tensor: QUERY }),
      }),
    );
  });

  it('with quantised weights names the type', async () => {
    const { dir } = variant();
    const tensors = tinyWeights().map((weight) =>
      weight.name === QUERY
        ? { ...asF32(weight), dtype: 'I32' as const, data: new Int32Array(weight.data.length) }
        : asF32(weight),
    );
    await replaceWeights(dir, tensors);
    expect(() => openCheckpoint(dir)).toThrow(
      expect.objectContaining({
        code: 'GP_MODEL_DTYPE',
        message: expect.stringContaining(`${QUERY} is I32`),
      }),
    );
  });

  it('with a tokenizer that is not byte-level says so', () => {
    const { dir } = variant((copy) =>
      editJson(copy, 'tokenizer.json', (t) => {
        t.decoder = { type: 'Metaspace' };
      }),
    );
    const checkpoint = openCheckpoint(dir);
    expect(() => tokenizerOf(checkpoint)).toThrow(
      expect.objectContaining({
        code: 'GP_CHECKPOINT',
        message: expect.stringMatching(/tokenizer\.json has no ByteLevel/),
      }),
    );
    checkpoint.close();
  });
});

describe('a checkpoint in another form', () => {
  it('is the same model in shards, with links, and under older names and a flat config', async () => {
    const reference = await logitsOf(TINY);
    const weights = tinyWeights();
    const { dir } = variant((copy) => {
      unlinkSync(join(copy, 'model.safetensors'));
      mkdirSync(join(copy, '../blobs'));
      editJson(copy, 'config.json', (config) => {
        const { rope_parameters: rope, ...text } = config.text_config;
        delete config.text_config;
        Object.assign(config, text, {
          model_type: 'glm4v',
          rope_theta: rope.rope_theta,
          partial_rotary_factor: rope.partial_rotary_factor,
          rope_scaling: { type: 'mrope', mrope_section: rope.mrope_section },
        });
        delete config.vision_config.rope_parameters;
      });
    });
    const oldName = (name: string) =>
      name.replace(/^model\.language_model\./, 'model.').replace(/^model\.visual\./, 'visual.');
    const shards = [weights.slice(0, 20), weights.slice(20)];
    const map: Record<string, string> = {};
    for (const [n, shard] of shards.entries()) {
      const name = `model-0000${n + 1}-of-00002.safetensors`;
      await writeSafetensors(
        join(dir, '../blobs', `b${n}`),
        shard.map((weight) => asF32({ ...weight, name: oldName(weight.name) })),
      );
      symlinkSync(join('../blobs', `b${n}`), join(dir, name));
      for (const weight of shard) map[oldName(weight.name)] = name;
    }
    writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    expect(maxAbsDifference(await logitsOf(dir), reference)).toBe(0);
  });

  it('is widened exactly from half precision, once', async () => {
    const cache = cacheFolder();
    const weights = tinyWeights().map(roundedToF16);
    const full = variant();
    const half = variant();
    await replaceWeights(full.dir, weights.map(asF32));
    await replaceWeights(half.dir, weights.map(asF16));
    const reference = await logitsOf(full.dir, cache);
    expect(existsSync(join(cache, 'models'))).toBe(false);
    expect(maxAbsDifference(await logitsOf(half.dir, cache), reference)).toBe(0);
    const [model] = readdirSync(join(cache, 'models'));
    expect(readdirSync(join(cache, 'models', model!))).toEqual([
      expect.stringMatching(/^weights-fp32-v\d+\.safetensors$/),
    ]);
    expect(maxAbsDifference(await logitsOf(half.dir, cache), reference)).toBe(0);
  });

  it('is widened exactly in pieces of any size', async () => {
    const { dir } = variant();
    await replaceWeights(dir, tinyWeights().map(asF16));
    const checkpoint = openCheckpoint(dir);
    const { folder, locate } = await placeWeights(checkpoint, 'fp32', {
      cacheDir: cacheFolder(),
      pieceElements: 1000,
    });
    for (const [name, weight] of checkpoint.weights) {
      // The host looks embeddings up itself.
      if (name === EMBEDDING) continue;
      const placed = locate(name);
      if (placed.form !== 'float') throw new Error(`${name} is quantised`);
      const { location, offset, length } = placed.data;
      expect(offset % 4).toBe(0);
      const bytes = readFileSync(join(folder, location)).subarray(offset, offset + length);
      const expected = readRows(weight, 0, weight.shape[0]!);
      expect(Buffer.compare(bytes, Buffer.from(expected.buffer))).toBe(0);
    }
    checkpoint.close();
  });

  it('ties its head to the embedding', async () => {
    const weights = tinyWeights();
    const embedding = weights.find(({ name }) => name.endsWith('embed_tokens.weight'))!;
    const untied = variant();
    const tied = variant((dir) =>
      editJson(dir, 'config.json', (config) => {
        config.tie_word_embeddings = true;
      }),
    );
    const others = weights.filter(({ name }) => name !== 'lm_head.weight');
    await replaceWeights(
      untied.dir,
      [...others, { ...embedding, name: 'lm_head.weight' }].map(asF32),
    );
    await replaceWeights(tied.dir, others.map(asF32));
    expect(maxAbsDifference(await logitsOf(tied.dir), await logitsOf(untied.dir))).toBe(0);
  });

  it('has another hash when any weight or setting changes', async () => {
    const hashOf = (dir: string) => {
      const checkpoint = openCheckpoint(dir);
      const { hash } = checkpoint;
      checkpoint.close();
      return hash;
    };
    const same = variant();
    expect(hashOf(same.dir)).toBe(hashOf(TINY));
    const weights = tinyWeights();
    weights[5]!.data[0]! += 1;
    const changed = variant();
    await replaceWeights(changed.dir, weights.map(asF32));
    const eos = variant((dir) =>
      editJson(dir, 'generation_config.json', (config) => {
        config.eos_token_id = 1;
      }),
    );
    expect(new Set([hashOf(TINY), hashOf(changed.dir), hashOf(eos.dir)]).size).toBe(3);
  });
});

describe('inspect and compile', () => {
  it('tells what the reader is', () => {
    expect(inspectModel(READER, { widthPx: 588, heightPx: 840 })).toMatchObject({
      family: 'glm4v',
      dtype: 'fp32',
      dtypeReason: null,
      storedDtype: 'F16',
      trained: expect.any(Boolean),
      vision: { cellPx: 28, tokenWidth: 384 },
      page: { rows: 30, cols: 21, visualTokens: 630 },
    });
    expect(inspectModel(TINY)).toMatchObject({
      layers: 4,
      kvHeads: 2,
      headDim: 16,
      kvBytesPerToken: 4 * 2 * 2 * 16 * 4,
      trained: true,
      eosTokenIds: [256, 260],
      answerTokens: 1_024,
    });
  });

  it('allows answers as long as the checkpoint states, else by its vocabulary', () => {
    expect(defaultAnswerTokens(300, 50_000)).toBe(300);
    expect(defaultAnswerTokens(null, 50_000)).toBe(2_048);
    expect(defaultAnswerTokens(null, 261)).toBe(1_024);
    const { dir } = variant((folder) =>
      editJson(folder, 'generation_config.json', (config) => {
        config.max_new_tokens = 77;
      }),
    );
    expect(inspectModel(dir).answerTokens).toBe(77);
  });

  it('writes every graph and a manifest', async () => {
    const cacheDir = cacheFolder();
    const manifest = await compileToFolder(TINY, { cacheDir, cuts: [2] });
    expect(manifest.graphs.map(({ name }) => name)).toEqual([
      'vision',
      'stage-0-2-variation',
      'stage-2-4',
      'head',
    ]);
    for (const { file, bytes } of manifest.graphs) {
      expect(readFileSync(file)).toHaveLength(bytes);
      expect(bytes).toBeLessThan(100_000);
    }
    expect(JSON.parse(readFileSync(join(manifest.folder, 'manifest.json'), 'utf8'))).toEqual(
      manifest,
    );
  });

  it('names the types it knows when asked for another', async () => {
    await expect(compileToFolder(TINY, { dtype: 'fp8' })).rejects.toMatchObject({
      code: 'GP_MODEL_DTYPE',
      message: expect.stringContaining('fp32, fp16, int8, int4'),
      hint: expect.stringContaining('--dtype'),
    });
  });
});

describe('the runtime', () => {
  it.each(['1.29.0', '1.30.1', '2.0.0'])('takes version %s', (version) => {
    expect(() => checkVersion(version)).not.toThrow();
  });
  it.each(['1.28.9', '1.24.3', '0.99.0'])('refuses version %s', (version) => {
    expect(() => checkVersion(version)).toThrow(
      expect.objectContaining({ code: 'GP_MODEL_RUNTIME' }),
    );
  });

  it('says which graph it refused when the weights changed under it', async () => {
    const { dir } = variant();
    const engine = await Engine.open(dir, { threads: 1 });
    renameSync(join(dir, 'model.safetensors'), join(dir, 'moved'));
    const page = { data: new Uint8Array(56 * 56), widthPx: 56, heightPx: 56, channels: 1 as const };
    await expect(engine.encodeImage(page)).rejects.toMatchObject({
      code: 'GP_MODEL_RUNTIME',
      message: expect.stringContaining('vision'),
    });
    await engine.close();
  });
});
