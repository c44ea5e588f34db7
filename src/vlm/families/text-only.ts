import { TEXT_DECODERS } from '../decoders/kinds.js';
import { composeFamily } from './family.js';

/** Llama, Qwen2 and Qwen3: decoders without a tower. */
export const textOnly = TEXT_DECODERS.map((decoder) =>
  composeFamily({
    name: decoder.modelType,
    decoder,
    layout: { kind: 'one' },
    tiedHead: false,
  }),
);
