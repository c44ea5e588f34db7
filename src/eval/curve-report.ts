/** Results of a pruning curve → points with intervals, and what they say about pruning. */

import { describePlan, NAMED_PLANS, planId } from '../prune/index.js';
import { renderConfigId } from '../render/index.js';
import { type ConditionKind, type CurveCondition, UNPRUNED } from './curve-conditions.js';
import { CURVE_TASKS, type CurvePlan, type CurveTask } from './curve-tasks.js';
import { type Interval, wilsonInterval } from './interval.js';
import type { Figure } from './report.js';
import type { Account, ResultLine } from './results-log.js';
import { SeededRandom } from './seeded-random.js';
import { type TokenRatios, tokenRatios } from './token-ratios.js';

/** Tokens are means over the texts that were opened; 0 if none was. */
export interface CurvePoint extends Omit<Account, 'pages'>, TokenRatios {
  name: string;
  series: string;
  kind: ConditionKind;
  rendering: string;
  renderConfigId: string;
  keep: number | null;
  planId: string;
  /** The plan in words. */
  plan: string;
  /** The control that drops as many at random. */
  twin: string | null;
  beyond: boolean;
  /** The same with the question behind the pages alone; null where it stands there alone already. */
  questionFirstOf: string | null;
  /** Mean over the tasks. */
  accuracy: Figure;
  tasks: Record<CurveTask, Figure>;
  /** Accuracy for each seed, in the order of the seeds. */
  bySeed: (number | null)[];
}

export type Outcome = 'clearly better' | 'better' | 'equal' | 'worse' | 'clearly worse';

export interface Contest {
  name: string;
  accuracy: number;
  stackedRatio: number;
  /** Accuracy of the method minus that of this, over the same questions. */
  difference: number;
  /** 95 % interval of the difference. */
  low: number;
  high: number;
  outcome: Outcome;
}

export interface Comparison {
  name: string;
  series: string;
  stackedRatio: number;
  accuracy: number;
  /** The best rendering without pruning that is at least as dense; null if none was measured. */
  rendering: Contest | null;
  /** As many dropped at random. */
  random: Contest | null;
}

export interface Verdict {
  /** False where even unpruned pages are not read: then nothing can be said. */
  readable: boolean;
  comparisons: Comparison[];
  /** What the question before the pages too changes, condition by condition. */
  questionFirst: { name: string; accuracy: number; behindAlone: Contest }[];
  words: string[];
}

export interface MeasuredPlan extends Interval {
  /** Of the plan that had the name when it was measured. */
  planId: string;
  accuracy: number;
  questions: number;
  contextTokens: number;
  visualTokens: number;
  pruneRatio: number;
  stackedRatio: number;
  /** Accuracy of the same pages without any drop. */
  unpruned: number;
}

export interface CurveReport {
  version: 1;
  suite: 'curve';
  model: { name: string; checkpointHash: string; parameters: number; trained: boolean };
  key: Record<string, string>;
  settings: Record<string, unknown>;
  questions: number;
  answered: number;
  failed: number;
  points: CurvePoint[];
  verdict: Verdict;
  /** Plans that can be asked for by name. */
  plans: Record<string, MeasuredPlan>;
}

interface Asked {
  condition: CurveCondition;
  seed: number;
  /** The same question has the same name under every condition. */
  pair: string;
  task: CurveTask;
  result: ResultLine;
}

export function makeCurveReport(
  plan: CurvePlan,
  results: ReadonlyMap<string, ResultLine>,
  about: Pick<CurveReport, 'model' | 'key' | 'settings'>,
): CurveReport {
  const asked: Asked[] = [];
  let questions = 0;
  for (const document of plan.documents) {
    const { condition, seed } = plan.cases.get(document.id)!;
    document.questions.forEach(({ id, kind }, i) => {
      questions++;
      const result = results.get(id);
      const task = kind as CurveTask;
      if (result) asked.push({ condition, seed, pair: `${seed}/${i}`, task, result });
    });
  }
  const byCondition = new Map<string, Asked[]>();
  for (const one of asked) {
    const { name } = one.condition;
    byCondition.set(name, [...(byCondition.get(name) ?? []), one]);
  }
  const seeds = [...new Set([...plan.cases.values()].map(({ seed }) => seed))];
  const points = plan.conditions.map((condition) =>
    pointOf(condition, byCondition.get(condition.name) ?? [], plan, seeds),
  );
  const failed = asked.filter(({ result }) => 'error' in result).length;
  return {
    version: 1,
    suite: 'curve',
    ...about,
    questions,
    answered: asked.length - failed,
    failed,
    points,
    verdict: verdictOf(points, byCondition),
    plans: measuredPlans(points),
  };
}

function pointOf(
  condition: CurveCondition,
  asked: readonly Asked[],
  plan: CurvePlan,
  seeds: readonly number[],
): CurvePoint {
  // Each question has a context of its own where it stands before the pages.
  const accounts = asked.flatMap(({ result }) => ('account' in result ? [result.account] : []));
  const mean = (field: 'textTokens' | 'visualTokens' | 'contextTokens') =>
    accounts.length === 0
      ? 0
      : accounts.reduce((sum, account) => sum + account[field], 0) / accounts.length;
  const [textTokens, visualTokens] = [mean('textTokens'), mean('visualTokens')];
  const contextTokens = mean('contextTokens');
  const tasks = Object.fromEntries(
    CURVE_TASKS.map((task) => [task, figureOf(asked.filter((one) => one.task === task))]),
  ) as Record<CurveTask, Figure>;
  return {
    name: condition.name,
    series: condition.series,
    kind: condition.kind,
    rendering: condition.rendering,
    renderConfigId: renderConfigId(plan.renderings[condition.rendering]!),
    keep: condition.keep,
    planId: planId(condition.plan),
    plan: describePlan(condition.plan),
    twin: condition.twin ?? null,
    beyond: condition.beyond ?? false,
    questionFirstOf: condition.questionFirstOf ?? null,
    textTokens,
    visualTokens,
    contextTokens,
    ...tokenRatios({ textTokens, visualTokens, contextTokens }),
    accuracy: meanFigure(Object.values(tasks)),
    tasks,
    bySeed: seeds.map((seed) => {
      const own = asked.filter((one) => one.seed === seed);
      return meanFigure(CURVE_TASKS.map((task) => figureOf(own.filter((one) => one.task === task))))
        .value;
    }),
  };
}

/** A question that failed counts as wrong. */
const scoreOf = ({ result }: Asked) => ('error' in result ? 0 : result.score.value);

function figureOf(asked: readonly Asked[]): Figure {
  const failed = asked.filter(({ result }) => 'error' in result).length;
  const counts = { questions: asked.length, failed };
  if (asked.length === 0) return { ...counts, value: null, low: 0, high: 1 };
  const right = asked.reduce((sum, one) => sum + scoreOf(one), 0);
  return { ...counts, value: right / asked.length, ...wilsonInterval(right, asked.length) };
}

/**
 * The mean of independent shares, with an interval made from theirs.
 *
 * Source: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in
 * Medicine 27 (2008): the distances of the limits add as squares.
 */
export function meanFigure(figures: readonly Figure[]): Figure {
  const known = figures.filter(({ value }) => value !== null);
  const sum = (of: (figure: Figure) => number, among = known) =>
    among.reduce((total, figure) => total + of(figure), 0);
  const counts = {
    questions: sum((f) => f.questions, [...figures]),
    failed: sum((f) => f.failed, [...figures]),
  };
  if (known.length === 0) return { ...counts, value: null, low: 0, high: 1 };
  const value = sum((f) => f.value!) / known.length;
  const down = Math.sqrt(sum((f) => (f.value! - f.low) ** 2)) / known.length;
  const up = Math.sqrt(sum((f) => (f.high - f.value!) ** 2)) / known.length;
  return { ...counts, value, low: Math.max(0, value - down), high: Math.min(1, value + up) };
}

function measuredPlans(points: readonly CurvePoint[]): Record<string, MeasuredPlan> {
  const unpruned = points.find(({ name }) => name === UNPRUNED)?.accuracy.value;
  const plans: Record<string, MeasuredPlan> = {};
  for (const point of points) {
    const { value, low, high, questions } = point.accuracy;
    if (!(point.name in NAMED_PLANS) || value === null || unpruned == null) continue;
    const { planId, contextTokens, visualTokens, pruneRatio, stackedRatio } = point;
    const tokens = { contextTokens, visualTokens, pruneRatio, stackedRatio };
    plans[point.name] = { planId, accuracy: value, low, high, questions, ...tokens, unpruned };
  }
  return plans;
}

/** Below this (lower end of the interval) a model reads nothing worth comparing. */
const READS_SOMETHING = 0.15;
/** Renderings that are this little less dense count as equally dense. */
const TOLERANCE = 0.995;

function verdictOf(
  points: readonly CurvePoint[],
  asked: ReadonlyMap<string, readonly Asked[]>,
): Verdict {
  const measured = points.filter(({ accuracy }) => accuracy.value !== null);
  // A context for one question is no rival of those that are kept for all.
  const renderings = measured.filter(
    ({ kind, questionFirstOf }) => kind === 'rendering' && questionFirstOf === null,
  );
  const best = highest(renderings);
  if (!best || best.accuracy.low < READS_SOMETHING) {
    const words = best
      ? `Even without pruning the best rendering ("${best.name}") gives ${percent(best.accuracy.value!)} (${range(best.accuracy)}): the model reads too little for any comparison.`
      : 'Nothing was measured without pruning.';
    return { readable: false, comparisons: [], questionFirst: [], words: [words] };
  }
  const contest = (point: CurvePoint, rival: CurvePoint | undefined): Contest | null =>
    rival
      ? {
          name: rival.name,
          accuracy: rival.accuracy.value!,
          stackedRatio: rival.stackedRatio,
          ...pairedDifference(asked.get(point.name)!, asked.get(rival.name)!),
        }
      : null;
  const comparisons = measured
    .filter(({ kind }) => kind === 'method' || kind === 'named')
    .map((point): Comparison => {
      const asDense = renderings.filter(
        ({ stackedRatio }) => stackedRatio >= point.stackedRatio * TOLERANCE,
      );
      return {
        name: point.name,
        series: point.series,
        stackedRatio: point.stackedRatio,
        accuracy: point.accuracy.value!,
        rendering: contest(point, highest(asDense)),
        random: contest(
          point,
          measured.find(({ name }) => name === point.twin),
        ),
      };
    })
    .sort((a, b) => a.stackedRatio - b.stackedRatio);
  const questionFirst = measured.flatMap((point) => {
    const plain = measured.find(({ name }) => name === point.questionFirstOf);
    const behindAlone = contest(point, plain);
    return behindAlone ? [{ name: point.name, accuracy: point.accuracy.value!, behindAlone }] : [];
  });
  const words = [...inWords(comparisons, measured, best), ...onQuestionFirst(questionFirst)];
  return { readable: true, comparisons, questionFirst, words };
}

/** The most accurate; of equals the densest. */
function highest(points: readonly CurvePoint[]): CurvePoint | undefined {
  return [...points].sort(
    (a, b) => b.accuracy.value! - a.accuracy.value! || b.stackedRatio - a.stackedRatio,
  )[0];
}

const RESAMPLES = 2_000;

/**
 * The difference of two conditions over the questions that both were asked, mean over the tasks, with a
 * seeded bootstrap over these questions. Clear means that the interval excludes 0.
 */
function pairedDifference(
  method: readonly Asked[],
  rival: readonly Asked[],
): Pick<Contest, 'difference' | 'low' | 'high' | 'outcome'> {
  const other = new Map(rival.map((one) => [one.pair, one]));
  const byTask = CURVE_TASKS.map((task) =>
    method.flatMap((one) => {
      const match = other.get(one.pair);
      return one.task === task && match ? [scoreOf(one) - scoreOf(match)] : [];
    }),
  ).filter((differences) => differences.length > 0);
  const meanOf = (pick: (differences: readonly number[]) => number) =>
    byTask.reduce((sum, differences) => sum + pick(differences), 0) / Math.max(1, byTask.length);
  const difference = meanOf((all) => all.reduce((sum, d) => sum + d, 0) / all.length);
  const random = new SeededRandom('paired bootstrap');
  const draws = Array.from({ length: RESAMPLES }, () =>
    meanOf((all) => {
      let sum = 0;
      for (let i = 0; i < all.length; i++) sum += all[random.below(all.length)]!;
      return sum / all.length;
    }),
  ).sort((a, b) => a - b);
  const low = draws[Math.floor(RESAMPLES * 0.025)]!;
  const high = draws[Math.ceil(RESAMPLES * 0.975) - 1]!;
  return { difference, low, high, outcome: outcomeOf(difference, low, high) };
}

function outcomeOf(difference: number, low: number, high: number): Outcome {
  if (low > 0) return 'clearly better';
  if (high < 0) return 'clearly worse';
  if (Math.abs(difference) < 1e-9) return 'equal';
  return difference > 0 ? 'better' : 'worse';
}

function inWords(
  comparisons: readonly Comparison[],
  points: readonly CurvePoint[],
  best: CurvePoint,
): string[] {
  const words = [
    `Without pruning the best rendering is "${best.name}": ${percent(best.accuracy.value!)} (${range(best.accuracy)}) at ${times(best.stackedRatio)}.`,
  ];
  const won = comparisons.filter(({ rendering }) => rendering?.outcome === 'clearly better');
  const ahead = comparisons.filter(({ rendering }) => rendering?.outcome === 'better');
  const alone = comparisons.filter(({ rendering }) => rendering === null);
  const one = ({ name, stackedRatio, accuracy, rendering }: Comparison) =>
    `${name} at ${times(stackedRatio)} gives ${percent(accuracy)} against ${percent(rendering!.accuracy)} of "${rendering!.name}" at ${times(rendering!.stackedRatio)} (difference ${signed(rendering!.difference)}, 95 %: ${signed(rendering!.low)} to ${signed(rendering!.high)})`;
  if (won.length > 0) {
    words.push(
      `Pruning is clearly better than a rendering that is at least as dense at stacked ratios of ${span(won)}: ${won.map(one).join('; ')}.`,
    );
  } else {
    words.push(
      'At no measured stacked ratio is pruning clearly better than a rendering that is at least as dense.',
    );
  }
  if (ahead.length > 0) words.push(`Ahead, but within the noise: ${ahead.map(one).join('; ')}.`);
  if (alone.length > 0) {
    words.push(
      `Denser than every rendering that was tried, so without a rival: ${alone.map(({ name, stackedRatio, accuracy }) => `${name} (${percent(accuracy)} at ${times(stackedRatio)})`).join(', ')}.`,
    );
  }
  words.push(...againstRandom(comparisons));
  const beyond = highest(points.filter((point) => point.beyond));
  const tried = new Set(points.filter((point) => point.beyond).map(({ series }) => series)).size;
  if (beyond) {
    const flattery = tried > 1 ? `, the best of ${tried}, which flatters it` : '';
    words.push(
      `Beyond the papers: ${beyond.name} gives ${percent(beyond.accuracy.value!)} (${range(beyond.accuracy)}) at ${times(beyond.stackedRatio)}${flattery}.`,
    );
  }
  return words;
}

function againstRandom(comparisons: readonly Comparison[]): string[] {
  const contested = comparisons.filter(({ random }) => random !== null);
  return [...new Set(contested.map(({ series }) => series))].map((series) => {
    const own = contested.filter((comparison) => comparison.series === series);
    const parts = own.map(
      ({ stackedRatio, accuracy, random }) =>
        `${random!.outcome} at ${times(stackedRatio)} (${percent(accuracy)} against ${percent(random!.accuracy)})`,
    );
    return `${series} against dropping as many at random: ${parts.join(', ')}.`;
  });
}

function onQuestionFirst(measured: Verdict['questionFirst']): string[] {
  if (measured.length === 0) return [];
  const parts = measured.map(
    ({ accuracy, behindAlone: plain }) =>
      `${plain.name} ${plain.outcome} (${percent(accuracy)} against ${percent(plain.accuracy)}, difference ${signed(plain.difference)}, 95 %: ${signed(plain.low)} to ${signed(plain.high)})`,
  );
  return [
    `The question before the pages too, at the price of a context for each question, against behind them alone: ${parts.join('; ')}.`,
  ];
}

function span(comparisons: readonly Comparison[]): string {
  const ratios = comparisons.map(({ stackedRatio }) => stackedRatio);
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return low === high ? times(low) : `${times(low)} to ${times(high)}`;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const range = ({ low, high }: Interval) =>
  `${(low * 100).toFixed(1)} to ${(high * 100).toFixed(1)}`;
const signed = (share: number) => `${share >= 0 ? '+' : '−'}${Math.abs(share * 100).toFixed(1)}`;
const times = (ratio: number) => `${ratio.toFixed(2)}×`;
