import { GlyphpressError } from '../../errors.js';
import type { ModelFamily } from './family.js';
import { glm4v } from './glm4v.js';

const FAMILIES: readonly ModelFamily[] = [glm4v];

/** The family that reads checkpoints of this `model_type`. */
export function familyOf(modelType: unknown, file: string): ModelFamily {
  const family = FAMILIES.find((candidate) => candidate.modelTypes.includes(String(modelType)));
  if (family) return family;
  const supported = FAMILIES.flatMap((candidate) => candidate.modelTypes).join(', ');
  throw new GlyphpressError('GP_MODEL_FAMILY', {
    message: `${file} says model_type ${JSON.stringify(modelType ?? null)}; supported: ${supported}.`,
    hint: 'Use a GLM-4V checkpoint such as GLM-4.1V-9B-Thinking, Glyph or models/reader, or serve the model with vLLM and use the openai backend.',
    details: { file, modelType: modelType ?? null, supported },
  });
}
