/** Every weight of a model, and the names that it may be stored under. */
import { decoderWeights, TEXT } from '../decoders/decoder-graph.js';
import type { ModelConfig } from './family.js';

/** Canonical name → shape, the tower's first. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  return new Map<string, readonly number[]>([
    ...(config.vision?.tower.weights() ?? []),
    ...(config.vision?.merger.weights() ?? []),
    ...decoderWeights(config.text, config.tiedHead),
  ]);
}

/**
 * Names a weight may be stored under, the canonical one first: as transformers writes it now, as it was
 * written before models had a `model.` prefix of their own, and as a decoder alone has it.
 */
export function storedNames(name: string): readonly string[] {
  if (name.startsWith(`${TEXT}.`)) {
    const rest = name.slice(TEXT.length + 1);
    return [name, `model.${rest}`, `language_model.model.${rest}`];
  }
  if (name.startsWith('model.')) return [name, name.slice('model.'.length)];
  return [name, `language_model.${name}`];
}
