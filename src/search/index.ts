/** Which rendering and which pruning is best for a model and a kind of text: an offline search. */
export { optionsOf } from './best.js';
export type { Evaluator } from './evaluator.js';
export { EvolutionProposer } from './evolution-proposer.js';
export { LlmChat } from './llm-chat.js';
export { LlmProposer } from './llm-proposer.js';
export { ModelEvaluator } from './model-evaluator.js';
export type { Proposer } from './proposer.js';
export { RandomProposer } from './random-proposer.js';
export { referenceCandidates } from './references.js';
export { CACHE_FOLDER, REPORT_FILE, TRANSCRIPT_FILE } from './run-folder.js';
export { searchInFolder } from './run-search.js';
export type { SearchProgress, SearchSetting } from './search.js';
export { ServerEvaluator } from './server-evaluator.js';
export { loadSpace, Space } from './space.js';
export type { SearchSummary } from './summary.js';
export { summaryText } from './summary-text.js';
export { documentsFor, quickTasks, type SearchTasks, splitTasks } from './tasks.js';
export { Transcript } from './transcript.js';
