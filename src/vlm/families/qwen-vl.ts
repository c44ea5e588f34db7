/** Qwen2-VL, Qwen2.5-VL and Qwen3-VL (dense). */
import type { ConfigReader } from '../config-reader.js';
import { qwen2, qwen3 } from '../decoders/kinds.js';
import { readPixelBudget } from '../page-size.js';
import { QWEN2_MERGER_NAMES, QWEN3_MERGER_NAMES, qwenMerger } from '../towers/qwen-merger.js';
import { qwen2vlTower, qwen3vlTower, qwen25vlTower } from '../towers/qwen-tower.js';
import type { Merger, VisionModel, VisionTower } from '../towers/tower.js';
import { checkWidth, composeFamily } from './family.js';

const SIZE_RULE = { frames: 1, enlargesNarrow: false, minPixels: 3_136, maxPixels: 1_003_520 };

const sections = { kind: 'sections', sections: [16, 24, 24] } as const;

/** Theirs differ from Qwen2's in what a config leaves unsaid. */
const decoder = { ...qwen2, rmsNormEps: 1e-5, ropeTheta: 1_000_000 };

export const qwen2vl = composeFamily({
  name: 'qwen2_vl',
  decoder,
  layout: sections,
  tiedHead: false,
  vision({ root, vision }, text) {
    checkWidth(vision, 'hidden_size', text);
    const tower = qwen2vlTower(vision);
    const merger = { outWidth: text.hiddenSize, norm: 'layer', names: QWEN2_MERGER_NAMES } as const;
    return qwenVision(root, tower, qwenMerger(tower, merger));
  },
});

export const qwen25vl = composeFamily({
  name: 'qwen2_5_vl',
  decoder,
  layout: sections,
  tiedHead: false,
  vision({ root, vision }, text) {
    checkWidth(vision, 'out_hidden_size', text);
    const tower = qwen25vlTower(vision);
    const merger = { outWidth: text.hiddenSize, norm: 'rms', names: QWEN2_MERGER_NAMES } as const;
    return qwenVision(root, tower, qwenMerger(tower, merger));
  },
});

export const qwen3vl = composeFamily({
  name: 'qwen3_vl',
  decoder: { ...qwen3, ropeTheta: 500_000, maxPositions: 128_000 },
  layout: { kind: 'interleaved', sections: [24, 20, 20] },
  tiedHead: false,
  vision({ root, vision }, text) {
    checkWidth(vision, 'out_hidden_size', text);
    const tower = qwen3vlTower(vision);
    const merger = { outWidth: text.hiddenSize, norm: 'layer', names: QWEN3_MERGER_NAMES } as const;
    return qwenVision(root, tower, qwenMerger(tower, merger));
  },
});

function qwenVision(root: ConfigReader, tower: VisionTower, merger: Merger): VisionModel {
  return {
    tower,
    merger,
    imageTokenId: root.count('image_token_id', 151_655),
    imagePositions: 'grid',
    sizeRule: (preprocessor) => readPixelBudget(preprocessor, tower, SIZE_RULE),
  };
}
