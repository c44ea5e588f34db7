/** A search that is small enough for real pages in a test. */

import type { RawRenderConfig } from '../../src/render/index.js';
import type { Evaluator } from '../../src/search/evaluator.js';
import { EvolutionProposer } from '../../src/search/evolution-proposer.js';
import { referenceCandidates } from '../../src/search/references.js';
import type { SearchSetting } from '../../src/search/search.js';
import { parseSpace } from '../../src/search/space.js';
import { quickTasks, type SearchTasks } from '../../src/search/tasks.js';

export const smallTasks = (style: 'bare' | 'full') =>
  quickTasks({ seed: 1, style, samples: 1, questions: 2, characters: 500 });

/** Around what the reader reads. */
const axes = {
  page: '588,840',
  dpi: 72,
  'font-family': ['DejaVu Sans Mono', 'DejaVu Serif'],
  'font-size': 9.3015,
  leading: 0,
  'margin-x': 0,
  'margin-y': 0,
  'grid-lock': true,
};

/**
 * @param names presets to start from
 * @param trained what the model was trained to read, under the name `model`
 */
export function smallSearch(
  evaluator: Evaluator,
  tasks: SearchTasks,
  names: string[],
  trained: RawRenderConfig | null = null,
): SearchSetting {
  const canPrune = evaluator.layers !== null;
  const space = parseSpace({ axes }, { canPrune });
  const references = referenceCandidates(space, trained, evaluator.layers);
  return {
    space,
    tasks,
    evaluator,
    proposer: new EvolutionProposer(2),
    references: references.filter(({ name }) => names.includes(name!)),
    defaultConfig: null,
    seed: 3,
    budget: 4,
    generation: 2,
    patience: 5,
    minRatio: 1,
  };
}
