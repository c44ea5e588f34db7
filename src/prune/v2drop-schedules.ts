import type { DecoderDrop, PrunePlan } from './prune-plan.js';

/** A published schedule of V²Drop, for the model that it was published for. */
export interface V2DropSchedule {
  /** Where it was published. */
  source: string;
  /** Decoder layers of that model. */
  decoderLayers: number;
  /** Visual tokens that its averages are given for. */
  visualTokens: number;
  plan: PrunePlan;
}

/**
 * The schedules of V²Drop (arXiv:2509.01552) as they were published. They keep their layer numbers:
 * for another depth, {@link namedPlan} scales the first one.
 *
 * - `paper-192`, `paper-128`, `paper-64`: the paper's settings for LLaVA-1.5-7B, named for their mean
 *   over layers, which is 193.75, 131 and 66.7 when counted exactly.
 * - `llava-code`: what the released LLaVA code drops, github.com/xuyang-liu16/V2Drop @219e03e. It keeps
 *   half at layer 17 where the paper keeps 30 %, so its mean is 202.8, not 192.
 * - `llava-code-cosine`: the same schedule by 1 − cosine similarity, as released until commit 89eddbb.
 * - `qwen2-vl-code`: the released Qwen2-VL-7B code, 22.6 % of the tokens in the mean.
 *
 * Where the papers "drop 100 %", the code keeps max(1, 0) tokens; so do these plans.
 */
export const V2DROP_SCHEDULES = {
  'paper-192': llava('paper, 192 tokens', [0.5, 0.3]),
  'paper-128': llava('paper, 128 tokens', [0.28, 0.25]),
  'paper-64': llava('paper, 64 tokens', [0.05, 0.05]),
  'llava-code': llava('V2Drop.py @219e03e', [0.5, 0.5]),
  'llava-code-cosine': llava('V2Drop.py @c80aa08', [0.5, 0.5], 'cosine'),
  'qwen2-vl-code': {
    source: 'modeling_qwen2_vl_self.py @219e03e',
    decoderLayers: 28,
    visualTokens: 400,
    plan: { id: 'qwen2-vl-code', decoder: drops([3, 16, 22], [0.25, 0.05]) },
  },
} as const satisfies Record<string, V2DropSchedule>;

export type V2DropScheduleName = keyof typeof V2DROP_SCHEDULES;

function llava(source: string, keep: number[], metric?: 'cosine'): V2DropSchedule {
  return {
    source,
    decoderLayers: 32,
    visualTokens: 576,
    plan: { id: source, decoder: drops([3, 17, 22], keep, metric) },
  };
}

/** Each layer keeps its share; a layer beyond the shares keeps one token. */
function drops(layers: number[], keep: number[], metric?: 'cosine'): DecoderDrop[] {
  return layers.map((layer, i) => ({
    layer,
    method: 'v2drop',
    ...(metric && { metric }),
    ...(keep[i] === undefined ? { keepCount: 1 } : { keepRatio: keep[i] }),
  }));
}
