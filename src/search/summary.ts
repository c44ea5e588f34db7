/** A finished search in figures: what `--json` prints and what the report shows. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { type Interval, wilsonInterval } from '../eval/interval.js';
import type { ExpansionChoice } from '../pipeline/expanding/expansion-choice.js';
import { describePlan } from '../prune/index.js';
import type { RawRenderConfig } from '../render/index.js';
import { hypervolume, type Objectives } from './pareto.js';
import { rankCorrelation } from './rank-correlation.js';
import { chosenOf, type FinalScores, finalPoint, trainPoint } from './result.js';
import type { Timings } from './run-clock.js';
import type { GenerationSummary, SearchOutcome } from './search.js';
import { checkSearchFolder, SUMMARY_FILE } from './search-folder.js';
import { type Settings, settingsId } from './settings.js';
import type { Split } from './tasks.js';
import {
  accuracyOf,
  type DocumentScore,
  type Failure,
  legibilityOf,
  ratioOf,
  type TrialRecord,
} from './trial.js';

/** Accuracy over some questions, with its 95 % interval (Wilson). */
export interface Figure extends Objectives, Interval {
  questions: number;
}

export interface TrialSummary {
  trial: number;
  name: string | null;
  by: string;
  parents: number[];
  why: string | null;
  generation: number;
  settingsId: string;
  settings: Settings;
  /** The plan in words. */
  plan: string;
  outside: boolean;
  /** Null where nothing was drawn. */
  stackedRatio: number | null;
  characterErrorRate: number | null;
  infeasible: boolean;
  failure: Failure | null;
  /** Questions asked while searching; a part of them for trials that were given up early. */
  train: Figure | null;
  validation: Figure | null;
  heldOut: Figure | null;
}

export interface FrontPoint extends TrialSummary {
  /** From 1, the most accurate first; names the files in `best/`. */
  point: number;
}

export interface SearchSummary {
  version: 1;
  key: Record<string, string>;
  proposer: string;
  seed: number;
  budget: number;
  minRatio: number;
  tasks: string;
  /** The model's own rendering; null for the default preset. */
  defaultConfig: RawRenderConfig | null;
  stoppedBy: SearchOutcome['stoppedBy'];
  counts: { trials: number; failed: number; infeasible: number; asked: number; askedAll: number };
  hypervolume: {
    /** Of the trials that were asked everything, on train texts: what the search climbed. */
    train: number;
    /** Of the front, on held-out texts: what is left of it. */
    heldOut: number;
  };
  generations: GenerationSummary[];
  /** Chosen on validation texts. */
  front: FrontPoint[];
  /** Named presets and plans, on the same texts. */
  references: TrialSummary[];
  trials: TrialSummary[];
  /** Rank correlation of what the probe reads with the accuracy of answers. */
  probe: { spearman: number | null; trials: number };
  llm: {
    rounds: number;
    /** Rounds in which evolution stood in. */
    fallbacks: number;
    unusable: number;
    promptTokens: number;
    replyTokens: number;
  } | null;
  /** Passages that questions were asked with; null for none. */
  expand:
    | (ExpansionChoice & {
        /** Text tokens of a question's passages, in the mean over all train questions asked. */
        tokens: number | null;
      })
    | null;
  timings: {
    /** Over all runs that the search was broken into. */
    wallMs: number;
    renderMs: number;
    inferenceMs: number;
    /** Rendering and inference, of the wall time of all that worked side by side. */
    workShare: number;
  };
}

export interface SummarySetting
  extends Pick<
    SearchSummary,
    'key' | 'proposer' | 'seed' | 'budget' | 'minRatio' | 'tasks' | 'defaultConfig'
  > {
  timings: Timings;
  expand: ExpansionChoice | null;
  /** Trials side by side. */
  concurrency: number;
  questionsInAll: number;
}

export function summarise(outcome: SearchOutcome, setting: SummarySetting): SearchSummary {
  const { records, generations, finals, stoppedBy } = outcome;
  const { timings, concurrency, questionsInAll, expand, ...about } = setting;
  const { wallMs, renderMs, inferenceMs } = timings;
  const summaries = records.map((record) => trialSummary(record, finals));
  const of = (record: TrialRecord) => summaries[record.trial.id - 1]!;
  const validation = finals.filter(({ split }) => split === 'validation');
  const front = chosenOf(records, validation).map(
    (record, i): FrontPoint => ({ point: i + 1, ...of(record) }),
  );
  const pairs = records.flatMap((record): [number, number][] => {
    const [legibility, accuracy] = [legibilityOf(record), accuracyOf(record.documents)];
    return legibility === null || accuracy === null ? [] : [[legibility, accuracy]];
  });
  const isAskedAll = ({ train }: TrialSummary) =>
    train !== null && train.questions >= questionsInAll;
  return {
    version: 1,
    ...about,
    stoppedBy,
    counts: {
      trials: records.length,
      failed: records.filter(({ failure }) => failure).length,
      infeasible: records.filter(({ infeasible }) => infeasible).length,
      asked: summaries.filter(({ train }) => train).length,
      askedAll: summaries.filter(isAskedAll).length,
    },
    hypervolume: {
      train: generations.at(-1)?.hypervolume ?? 0,
      heldOut: hypervolume(front.flatMap(({ heldOut }) => heldOut ?? [])),
    },
    generations,
    front,
    references: summaries.filter(({ name }) => name !== null),
    trials: summaries,
    probe: { spearman: rankCorrelation(pairs), trials: pairs.length },
    llm: llmSummary(generations),
    expand: expand && { ...expand, tokens: meanExpandedTokens(records) },
    timings: {
      wallMs: Math.round(wallMs),
      renderMs: Math.round(renderMs),
      inferenceMs: Math.round(inferenceMs),
      workShare: wallMs > 0 ? (renderMs + inferenceMs) / (wallMs * concurrency) : 0,
    },
  };
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_ARTIFACT_DAMAGED */
export function readSummary(folder: string): SearchSummary {
  checkSearchFolder(folder);
  const file = path.join(folder, SUMMARY_FILE);
  if (!existsSync(file)) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `The search in ${folder} is not finished: ${SUMMARY_FILE} does not exist`,
      hint: 'Give its command again; it goes on where it was.',
      details: { folder },
    });
  }
  try {
    // Runs of glyphpress 0.1 call the default config `usual`.
    const { usual = null, ...summary } = JSON.parse(readFileSync(file, 'utf8')) as SearchSummary & {
      usual?: RawRenderConfig | null;
    };
    if (summary.version === 1 && Array.isArray(summary.front))
      return {
        ...summary,
        defaultConfig: summary.defaultConfig ?? usual,
        // Runs from before searches with passages do not say.
        expand: summary.expand ?? null,
      };
  } catch {}
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${file} is not the summary of a search`,
    hint: 'Give the command of the search again: the summary is written anew.',
    details: { file },
  });
}

function trialSummary(record: TrialRecord, finals: readonly FinalScores[]): TrialSummary {
  const { trial, renderCheck, infeasible, failure, documents } = record;
  const final = (split: Split) => {
    const scores = finals.find((one) => one.trial === trial.id && one.split === split);
    return scores ? figure(finalPoint(scores), scores.documents) : null;
  };
  return {
    trial: trial.id,
    name: trial.name ?? null,
    by: trial.by,
    parents: trial.parents,
    why: trial.why ?? null,
    generation: trial.generation,
    settingsId: settingsId(trial.settings),
    settings: trial.settings,
    plan: describePlan(trial.settings.plan),
    outside: trial.outside === true,
    stackedRatio: renderCheck || documents.length > 0 ? ratioOf(record) : null,
    characterErrorRate: renderCheck?.characterErrorRate ?? null,
    infeasible,
    failure,
    train: documents.length > 0 ? figure(trainPoint(record), documents) : null,
    validation: final('validation'),
    heldOut: final('heldOut'),
  };
}

function meanExpandedTokens(records: readonly TrialRecord[]): number | null {
  const asked = records
    .flatMap(({ documents }) => documents)
    .filter(({ scores }) => scores.length > 0);
  const questions = asked.reduce((sum, { scores }) => sum + scores.length, 0);
  const tokens = asked.reduce(
    (sum, { expandedTokens = 0, scores }) => sum + expandedTokens * scores.length,
    0,
  );
  return questions === 0 ? null : tokens / questions;
}

function figure(point: Objectives, documents: readonly DocumentScore[]): Figure {
  const questions = documents.reduce((sum, { scores }) => sum + scores.length, 0);
  return { ...point, questions, ...wilsonInterval(point.accuracy * questions, questions) };
}

function llmSummary(generations: readonly GenerationSummary[]): SearchSummary['llm'] {
  const rounds = generations.flatMap(({ notes }) => notes ?? []);
  if (rounds.length === 0) return null;
  const sum = (field: 'promptTokens' | 'replyTokens' | 'unusable') =>
    rounds.reduce((total, notes) => total + notes[field], 0);
  return {
    rounds: rounds.length,
    fallbacks: rounds.filter(({ failure }) => failure !== undefined).length,
    unusable: sum('unusable'),
    promptTokens: sum('promptTokens'),
    replyTokens: sum('replyTokens'),
  };
}
