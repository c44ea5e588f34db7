/** How well a model reads and finds: tasks, scores, runs that can be broken off, figures. */
export { type Asker, ModelAsker, ServerAsker } from './asker.js';
export { haystackFrom } from './haystack.js';
export { heatMap } from './heat-map.js';
export { type LoadOptions, loadTasks } from './load-tasks.js';
export { charactersPerPage } from './page-capacity.js';
export type { EvalPlan } from './plan.js';
export { PROMPT_STYLES, type PromptStyle } from './questions.js';
export { planReaderSuite } from './reader-suite.js';
export { type EvalReport, makeReport } from './report.js';
export { reportTable } from './report-table.js';
export { runKey, runPlan } from './run.js';
export { METRIC_NAMES, type MetricName } from './score.js';
export {
  type MeasurePage,
  planSuites,
  type SuiteSetting,
  TASK_SUITES,
  type TaskSuite,
} from './suites.js';
