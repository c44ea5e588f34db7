/** Fields of `vision_config` that towers have in common. */
import { ACTIVATIONS, type Activation } from '../blocks.js';
import type { ConfigReader } from '../config-reader.js';

const MAX_BLOCKS = 1000;

export interface TowerSizes {
  depth: number;
  hiddenSize: number;
  heads: number;
  headDim: number;
}

/** @param keys what the fields are called there */
export function readSizes(
  vision: ConfigReader,
  keys: { depth: string; hiddenSize: string; heads: string },
): TowerSizes {
  const hiddenSize = vision.count(keys.hiddenSize);
  const heads = vision.count(keys.heads);
  vision.check(
    hiddenSize % (4 * heads) === 0,
    keys.heads,
    'such that each head has a multiple of 4 dimensions',
  );
  return {
    depth: vision.count(keys.depth, undefined, MAX_BLOCKS),
    hiddenSize,
    heads,
    headDim: hiddenSize / heads,
  };
}

export function readActivation(vision: ConfigReader, fallback: Activation): Activation {
  const value = vision.string('hidden_act', fallback);
  const known = ACTIVATIONS.find((name) => name === value);
  vision.check(known !== undefined, 'hidden_act', `one of ${ACTIVATIONS.join(', ')}`);
  return known!;
}

export function readTheta(vision: ConfigReader): number {
  return (
    vision.child('rope_parameters')?.number('rope_theta', 10_000) ??
    vision.number('rope_theta', 10_000)
  );
}
