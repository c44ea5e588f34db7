/** Visual tokens → fewer. Pure functions on typed arrays. */
export {
  accountTokens,
  contextShare,
  predictEncodedTokens,
  predictTokens,
  type TokenAccount,
} from './accounting.js';
export {
  APET_DEFAULTS,
  APET_FORMS,
  type ApetForm,
  type ApetOptions,
  type ApproximationErrors,
  approximationErrors,
  type BasisOptions,
  type BasisRule,
  type MergeRule,
  pruneByApproximationError,
  type SlotOrder,
  selectByApproximationError,
} from './apet.js';
export type { BasisChoice } from './apet-basis.js';
export { type MergeOptions, mergeDropped } from './apet-merge.js';
export { dropAfterEncoder, dropBeforeLayer, dropHiddenBeforeLayer } from './apply-plan.js';
export { inkedCells } from './blank.js';
export {
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
export { describePlan } from './describe-plan.js';
export {
  cellsLeftByContent,
  dropEncodedPages,
  type EncodedPage,
  type KeptPage,
  needsSignals,
} from './encoder-drop.js';
export { NAMED_PLANS, type NamedPlan, namedPlan, textAwareApet } from './named-plans.js';
export { densityBudgets } from './page-density.js';
export {
  blankCells,
  type CellGrid,
  countBlank,
  type PageLine,
  type PagePixels,
  type PageSignals,
  type PlacedGrid,
  pageSignals,
} from './page-signals.js';
export { parsePrunePlan } from './parse-plan.js';
export { decoderPlanFromKeep, layersAtDepths, planFromKeep } from './plan-from-keep.js';
export {
  type DecoderDrop,
  dropSeed,
  type EncoderDrop,
  hasTextStructure,
  type PrunePlan,
  planId,
  resolvePlan,
} from './prune-plan.js';
export { questionFirstPlan } from './question-first-plan.js';
export { deriveSeed, type RandomOptions, seededRandom, selectAtRandom } from './random.js';
export { randomTwin } from './random-twin.js';
export { type RowPlaces, trailingScores } from './reading-trail.js';
export { REPEAT_RUN, repeatedCells } from './repeats.js';
export { type Budget, budgetedCount, retainedCount } from './retained-count.js';
export { keepStructured, rowsBeside, type StructureOptions } from './structured-keep.js';
export { tokenNorms } from './token-norm.js';
export { selectByVariation, tokenVariation, type VariationMetric } from './v2drop.js';
export {
  V2DROP_SCHEDULES,
  type V2DropSchedule,
  type V2DropScheduleName,
} from './v2drop-schedules.js';
