/** How well a model reads and finds: tasks, scores, runs that can be broken off, figures. */
export { type Asker, ModelAsker, ServerAsker } from './asker.js';
export { findAttentionHeads } from './attention-calibration.js';
export {
  type CalibrationResult,
  calibrate,
  calibrationSamples,
  type Reliability,
} from './calibrate.js';
export { CurveAsker } from './curve-asker.js';
export { CHART_AXES, type ChartAxis, curveChart } from './curve-chart.js';
export {
  type CurveCondition,
  conditionsNamed,
  curveConditions,
  curveRenderings,
} from './curve-conditions.js';
export { type CurveReport, type MeasuredPlan, makeCurveReport } from './curve-report.js';
export {
  CURVE_TASKS,
  type CurvePlan,
  type CurveSetting,
  planCurve,
  shortParagraphs,
} from './curve-tasks.js';
export { curveMarkdown, curveTable } from './curve-text.js';
export { ExpansionAsker, planExpansion } from './expansion-suite.js';
export { haystackFrom } from './haystack.js';
export { heatMap } from './heat-map.js';
export { type LoadOptions, loadTasks } from './load-tasks.js';
export { measuredPlans, PLANS_FILE, type PlanRecord, planRecord } from './measured-plans.js';
export { DEFAULT_QUESTIONS_PER_DOCUMENT, planNatural } from './natural/natural-plan.js';
export { makeNaturalReport, type NaturalReport } from './natural/natural-report.js';
export { type NaturalText, readNaturalSuite } from './natural/natural-suite.js';
export { naturalMarkdown, naturalTable } from './natural/natural-text.js';
export { charactersPerPage } from './page-capacity.js';
export type { EvalPlan } from './plan.js';
export { PROMPT_STYLES, type PromptStyle } from './questions.js';
export { planReaderSuite } from './reader-suite.js';
export { reliabilityPlot } from './reliability-plot.js';
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
