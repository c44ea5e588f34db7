import { glmOcr as decoder } from '../decoders/kinds.js';
import { readPixelBudget } from '../page-size.js';
import { glmMerger } from '../towers/glm-merger.js';
import { glmOcrTower } from '../towers/glm-tower.js';
import { checkWidth, composeFamily } from './family.js';
import { GLM_SIZE_RULE } from './glm4v.js';

/** GLM-OCR. Its last, multi-token-prediction layer is not used. */
export const glmOcr = composeFamily({
  name: 'glm_ocr',
  decoder,
  layout: { kind: 'sections', sections: [16, 24, 24] },
  tiedHead: false,
  vision({ root, vision }, text) {
    checkWidth(vision, 'out_hidden_size', text);
    const tower = glmOcrTower(vision);
    return {
      tower,
      merger: glmMerger(tower, {
        outWidth: text.hiddenSize,
        innerWidth: text.hiddenSize * tower.channels,
      }),
      imageTokenId: root.count('image_token_id', 59_280),
      imagePositions: 'grid',
      sizeRule: (preprocessor) => readPixelBudget(preprocessor, tower, GLM_SIZE_RULE),
    };
  },
});
