import { qwen3, TEXT_DECODERS } from '../decoders/kinds.js';
import { readLongestSide } from '../page-size.js';
import { lightonMerger } from '../towers/lighton-merger.js';
import { pixtralTower } from '../towers/pixtral-tower.js';
import { composeFamily } from './family.js';

/** LightOnOCR, over any decoder that also stands alone. */
export const lightonOcr = composeFamily({
  name: 'lighton_ocr',
  decoder(text) {
    const type = text.string('model_type', qwen3.modelType);
    const known = TEXT_DECODERS.map(({ modelType }) => modelType);
    text.check(known.includes(type), 'model_type', `one of ${known.join(', ')}`);
    return TEXT_DECODERS.find(({ modelType }) => modelType === type)!;
  },
  layout: { kind: 'one' },
  tiedHead: true,
  vision({ root, vision }, text) {
    const tower = pixtralTower(vision, 'model.vision_encoder', root.count('spatial_merge_size', 2));
    return {
      tower,
      merger: lightonMerger(tower, { outWidth: text.hiddenSize, normEps: text.rmsNormEps }),
      imageTokenId: root.count('image_token_id', root.count('image_token_index', 151_655)),
      imagePositions: 'sequence',
      sizeRule: (preprocessor) => readLongestSide(preprocessor, tower),
    };
  },
});
