/** Visual tokens → fewer. Pure functions on typed arrays. */
export {
  accountTokens,
  assertAsPlanned,
  contextShare,
  predictEncodedTokens,
  predictTokens,
  type TokenAccount,
} from './accounting.js';
export {
  APET_DEFAULTS,
  type ApetOptions,
  type ApproximationErrors,
  approximationErrors,
  type BasisOptions,
  type BasisRule,
  type MergeRule,
  mergeDropped,
  pruneByApproximationError,
  selectByApproximationError,
} from './apet.js';
export { dropAfterEncoder, dropBeforeLayer } from './apply-plan.js';
export {
  assertKeptRows,
  gatherRows,
  type KeepOptions,
  keepHighest,
  type PageRun,
  type Pruner,
  pageBudgets,
  pageRuns,
  type RankingScope,
  type ScopeOptions,
} from './contract.js';
export { planFromKeep } from './plan-from-keep.js';
export {
  type DecoderDrop,
  describePlan,
  dropSeed,
  type EncoderDrop,
  type PrunePlan,
  parsePrunePlan,
  planId,
  randomTwin,
  resolvePlan,
} from './prune-plan.js';
export { deriveSeed, type RandomOptions, seededRandom, selectAtRandom } from './random.js';
export { type Budget, budgetedCount, retainedCount } from './retained-count.js';
export { selectByVariation, tokenVariation, type VariationMetric } from './v2drop.js';
