import { glm4 } from '../decoders/kinds.js';
import type { ImageProcessorConfig } from '../image-processor.js';
import { readPixelBudget } from '../page-size.js';
import { glmMerger } from '../towers/glm-merger.js';
import { glm4vTower } from '../towers/glm-tower.js';
import { checkWidth, composeFamily } from './family.js';

/** Both frames of a still image count, and a page narrower than a cell is enlarged first. */
export const GLM_SIZE_RULE = {
  frames: 2,
  enlargesNarrow: true,
  minPixels: 12_544,
  maxPixels: 11_760_000,
};

/** How the published checkpoints of GLM-4.1V cut pages. */
export const GLM_4V_PAGES: Pick<ImageProcessorConfig, 'patchSize' | 'mergeSize' | 'size'> = {
  patchSize: 14,
  mergeSize: 2,
  size: {
    kind: 'pixel-budget',
    cellPx: 28,
    ...GLM_SIZE_RULE,
    maxPixels: 9_633_792,
  },
};

/** GLM-4.1V-9B and Glyph. */
export const glm4v = composeFamily({
  name: 'glm4v',
  decoder: glm4,
  layout: { kind: 'sections', sections: [8, 12, 12] },
  tiedHead: false,
  vision({ root, vision }, text) {
    checkWidth(vision, 'out_hidden_size', text);
    const tower = glm4vTower(vision);
    return {
      tower,
      merger: glmMerger(tower, {
        outWidth: text.hiddenSize,
        innerWidth: vision.count('intermediate_size'),
      }),
      imageTokenId: root.count('image_token_id', 151_343),
      imagePositions: 'grid',
      sizeRule: (preprocessor) => readPixelBudget(preprocessor, tower, GLM_SIZE_RULE),
    };
  },
});
