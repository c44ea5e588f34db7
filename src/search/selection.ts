/** Which trials are worth more: for parents, for further questions, for the result. */

import { wilsonInterval } from '../eval/interval.js';
import { crowdingDistances, nonDominatedFronts, type Objectives } from './pareto.js';
import { accuracyOf, legibilityOf, ratioOf, type TrialRecord } from './trial.js';

/** So little that it only decides between equal accuracies, mostly between zeros. */
const LEGIBILITY_WEIGHT = 1e-3;

export const isUsable = ({ failure, infeasible, renderCheck }: TrialRecord) =>
  failure === null && !infeasible && renderCheck !== null;

/**
 * What a trial is compared by while the search goes on. Where some questions are still to be asked,
 * the lower end of the interval stands for the accuracy: a few lucky answers are no success. The
 * probe's legibility leads the way where all accuracies are zero.
 */
function objectivesOf(record: TrialRecord, questionsInAll: number): Objectives {
  const accuracy = accuracyOf(record.documents);
  const asked = record.documents.reduce((sum, { scores }) => sum + scores.length, 0);
  const sure =
    accuracy === null
      ? 0
      : asked < questionsInAll
        ? wilsonInterval(accuracy * asked, asked).low
        : accuracy;
  return {
    accuracy: sure + LEGIBILITY_WEIGHT * (legibilityOf(record) ?? 0),
    stackedRatio: ratioOf(record),
  };
}

/**
 * Indices from the best to the worst: by front, then by room within the front (NSGA-II). What failed
 * or is too sparse comes last, the nearest to the wanted ratio first.
 */
export function ranking(records: readonly TrialRecord[], questionsInAll: number): number[] {
  const usable = records.flatMap((record, i) => (isUsable(record) ? [i] : []));
  const objectives = usable.map((i) => objectivesOf(records[i]!, questionsInAll));
  const ranked = nonDominatedFronts(objectives).flatMap((front) => {
    const room = crowdingDistances(front.map((i) => objectives[i]!));
    return front
      .map((i, k) => ({ at: usable[i]!, room: room[k]! }))
      .sort((a, b) => (a.room === b.room ? a.at - b.at : b.room - a.room))
      .map(({ at }) => at);
  });
  const rest = records
    .flatMap((record, i) => (isUsable(record) ? [] : [i]))
    .sort((a, b) => ratioOf(records[b]!) - ratioOf(records[a]!) || a - b);
  return [...ranked, ...rest];
}

/** Minimum share of characters that the probe must read, 0 to 1, for questions to be asked. */
const MIN_LEGIBILITY = 0.5;

/**
 * Successive halving: which trials of a generation get more questions. Illegible trials are dropped, and
 * so are those that another trial surely beats at no lower ratio, by the intervals over the same questions.
 * At most the better half of the generation stays. Named presets are asked about the first texts whatever
 * the probe reads, and then for as long as it reads them.
 *
 * @param generation trials that stand at the same rung
 * @param rivals all trials
 */
export function promoted(
  generation: readonly TrialRecord[],
  rivals: readonly TrialRecord[],
  questionsInAll: number,
): TrialRecord[] {
  const alive = generation.filter(isUsable);
  const isLegible = (record: TrialRecord) => (legibilityOf(record) ?? 1) >= MIN_LEGIBILITY;
  const named = alive.filter(
    (record) =>
      record.trial.name !== undefined && (record.documents.length === 0 || isLegible(record)),
  );
  const rest = alive.filter(
    (record) =>
      record.trial.name === undefined &&
      isLegible(record) &&
      !rivals.some((rival) => surelyBeats(rival, record)),
  );
  // Without a probe nothing is known before the first question.
  const knowsSomething = rest.some(
    (record) => record.documents.length > 0 || legibilityOf(record) !== null,
  );
  const contenders = generation.filter(({ trial }) => trial.name === undefined).length;
  const kept = knowsSomething ? Math.ceil(contenders / 2) : rest.length;
  const best = ranking(rest, questionsInAll).slice(0, kept);
  const chosen = new Set([...named, ...best.map((i) => rest[i]!)]);
  return generation.filter((record) => chosen.has(record));
}

/** On the texts that both were asked about: no lower ratio, and intervals apart. */
function surelyBeats(rival: TrialRecord, record: TrialRecord): boolean {
  if (!isUsable(rival) || record.documents.length === 0) return false;
  if (ratioOf(rival) < ratioOf(record)) return false;
  const texts = new Set(record.documents.map(({ document }) => document));
  const shared = rival.documents.filter(({ document }) => texts.has(document));
  if (shared.length < texts.size) return false;
  const interval = (documents: TrialRecord['documents']) => {
    const scores = documents.flatMap(({ scores }) => scores);
    return wilsonInterval(
      scores.reduce((sum, score) => sum + score, 0),
      scores.length,
    );
  };
  return interval(shared).low > interval(record.documents).high;
}
