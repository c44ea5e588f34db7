import { GlyphpressError } from '../../errors.js';
import type { ModelFamily } from './family.js';
import { glmOcr } from './glm-ocr.js';
import { glm4v } from './glm4v.js';
import { lightonOcr } from './lighton-ocr.js';
import { qwen2vl, qwen3vl, qwen25vl } from './qwen-vl.js';
import { textOnly } from './text-only.js';

/** Every family that is read, those with a vision tower first. */
export const FAMILIES: readonly ModelFamily[] = [
  glm4v,
  glmOcr,
  qwen2vl,
  qwen25vl,
  qwen3vl,
  lightonOcr,
  ...textOnly,
];

/** The family that reads checkpoints of this `model_type`. */
export function familyOf(modelType: unknown, file: string): ModelFamily {
  const family = FAMILIES.find((candidate) => candidate.modelTypes.includes(String(modelType)));
  if (family) return family;
  const supported = FAMILIES.flatMap((candidate) => candidate.modelTypes).join(', ');
  throw new GlyphpressError('GP_MODEL_FAMILY', {
    message: `${file} says model_type ${JSON.stringify(modelType ?? null)}; supported: ${supported}.`,
    hint: 'Use a checkpoint of one of these families (docs/models.md), or serve the model with vLLM and use the openai backend.',
    details: { file, modelType: modelType ?? null, supported },
  });
}
