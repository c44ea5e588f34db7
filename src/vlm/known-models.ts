/**
 * Open models of the families that are read: what they are, how far each is tested, and what they take.
 * Sizes are computed from the published configs, which are abridged here to the fields that decide them.
 */
import type { ModelConfig } from './families/family.js';
import { familyOf } from './families/registry.js';
import { weightShapes } from './families/weights.js';
import { weightMemory } from './weights/dtype.js';
import { DTYPES, type Dtype } from './weights/recipe.js';
import { elementCount, type StoredWeight } from './weights/stored-weight.js';

export interface KnownModel {
  family: string;
  /** Name on the hub. */
  id: string;
  /** What was held against what. */
  tested: string;
  /** Render preset that suits it; null for a model that reads text only. */
  preset: string | null;
  config: Readonly<Record<string, unknown>>;
}

export interface KnownModelSizes extends Omit<KnownModel, 'config'> {
  parameters: number;
  /** Memory of the loaded weights, in bytes. */
  memory: Record<Dtype, number>;
  /** Keys and values of one token over all layers, float32. */
  kvBytesPerToken: number;
  /** Side of the square that becomes one visual token; null for a model that reads text only. */
  cellPx: number | null;
}

const text = (
  layers: number,
  hidden: number,
  heads: number,
  kvHeads: number,
  intermediate: number,
  vocabulary: number,
  more: Record<string, unknown> = {},
) => ({
  num_hidden_layers: layers,
  hidden_size: hidden,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  intermediate_size: intermediate,
  vocab_size: vocabulary,
  ...more,
});

const sections = (mrope_section: number[]) => ({
  rope_parameters: { rope_type: 'default', mrope_section },
});

const GOLDEN =
  'a tiny random model against transformers: pixels, visual tokens, layers, logits, tokens';

const qwen3vlVision = { depth: 24, hidden_size: 1024, num_heads: 16, intermediate_size: 4096 };

export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    family: 'glm4v',
    id: 'zai-org/Glyph',
    tested: GOLDEN,
    preset: 'default',
    config: {
      model_type: 'glm4v',
      tie_word_embeddings: false,
      text_config: text(40, 4096, 32, 2, 13_696, 151_552, {
        partial_rotary_factor: 0.5,
        rope_parameters: { mrope_section: [8, 12, 12], partial_rotary_factor: 0.5 },
      }),
      vision_config: {
        depth: 24,
        hidden_size: 1536,
        num_heads: 12,
        out_hidden_size: 4096,
        intermediate_size: 13_696,
      },
    },
  },
  {
    family: 'qwen2_5_vl',
    id: 'Qwen/Qwen2.5-VL-3B-Instruct',
    tested: GOLDEN,
    preset: 'default',
    config: {
      model_type: 'qwen2_5_vl',
      ...text(36, 2048, 16, 2, 11_008, 151_936, { tie_word_embeddings: true }),
      ...sections([16, 24, 24]),
      vision_config: {
        depth: 32,
        hidden_size: 1280,
        num_heads: 16,
        intermediate_size: 3420,
        out_hidden_size: 2048,
      },
    },
  },
  {
    family: 'qwen3_vl',
    id: 'Qwen/Qwen3-VL-2B-Instruct',
    tested: GOLDEN,
    preset: 'default',
    config: {
      model_type: 'qwen3_vl',
      tie_word_embeddings: true,
      text_config: text(28, 2048, 16, 8, 6144, 151_936, {
        head_dim: 128,
        ...sections([24, 20, 20]),
      }),
      vision_config: {
        ...qwen3vlVision,
        out_hidden_size: 2048,
        deepstack_visual_indexes: [5, 11, 17],
      },
    },
  },
  {
    family: 'qwen3_vl',
    id: 'Qwen/Qwen3-VL-4B-Instruct',
    tested: GOLDEN,
    preset: 'default',
    config: {
      model_type: 'qwen3_vl',
      tie_word_embeddings: true,
      text_config: text(36, 2560, 32, 8, 9728, 151_936, {
        head_dim: 128,
        ...sections([24, 20, 20]),
      }),
      vision_config: {
        ...qwen3vlVision,
        out_hidden_size: 2560,
        deepstack_visual_indexes: [5, 11, 17],
      },
    },
  },
  {
    family: 'lighton_ocr',
    id: 'lightonai/LightOnOCR-1B-1025',
    tested: GOLDEN,
    preset: 'default',
    config: {
      model_type: 'lighton_ocr',
      text_config: {
        model_type: 'qwen3',
        ...text(28, 1024, 16, 8, 3072, 151_936, { head_dim: 128 }),
      },
      vision_config: {
        num_hidden_layers: 24,
        hidden_size: 1024,
        num_attention_heads: 16,
        intermediate_size: 4096,
        patch_size: 14,
        hidden_act: 'silu',
      },
    },
  },
  {
    family: 'llama',
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    tested: 'the same, and its Q4_1 GGUF in use: answers over a licence text',
    preset: null,
    config: {
      model_type: 'llama',
      tie_word_embeddings: true,
      ...text(30, 576, 9, 3, 1536, 49_152),
    },
  },
  {
    family: 'qwen2',
    id: 'Qwen/Qwen2.5-0.5B-Instruct',
    tested: GOLDEN,
    preset: null,
    config: {
      model_type: 'qwen2',
      tie_word_embeddings: true,
      ...text(24, 896, 14, 2, 4864, 151_936),
    },
  },
  {
    family: 'qwen3',
    id: 'Qwen/Qwen3-0.6B',
    tested: GOLDEN,
    preset: null,
    config: {
      model_type: 'qwen3',
      tie_word_embeddings: true,
      ...text(28, 1024, 16, 8, 3072, 151_936, { head_dim: 128 }),
    },
  },
];

export function knownModelSizes({ config: raw, ...model }: KnownModel): KnownModelSizes {
  const config = familyOf(raw.model_type, model.id).parseConfig(raw, model.id);
  const shapes = weightShapes(config);
  const { layers, kvHeads, headDim } = config.text;
  const tower = config.vision?.tower;
  return {
    ...model,
    parameters: [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0),
    memory: memoryByDtype(config, shapes),
    kvBytesPerToken: layers * 2 * kvHeads * headDim * 4,
    cellPx: tower ? tower.patchSize * tower.mergeSize : null,
  };
}

/** As a checkpoint of half precision would have it. */
function memoryByDtype(
  config: ModelConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
): Record<Dtype, number> {
  const weights = new Map(
    [...shapes].map(([name, shape]) => {
      const tensor = {
        name,
        shape: [...shape],
        dtype: 'F16' as const,
        byteOffset: 0,
        byteLength: 0,
      };
      return [name, { form: 'float', name, shape, tensor } as unknown as StoredWeight];
    }),
  );
  return Object.fromEntries(
    DTYPES.map((dtype) => [dtype, weightMemory({ config, weights }, dtype)]),
  ) as Record<Dtype, number>;
}
