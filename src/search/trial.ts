/** What a search knows of each configuration that it has looked at. */

import type { Point } from './point.js';
import type { Settings } from './settings.js';

/** A configuration to try. */
export interface Candidate {
  point: Point;
  settings: Settings;
  /** Set for named presets and plans, which are tried as they are, whatever the space says. */
  name?: string;
  /** A preset that the space does not hold is compared with, and never chosen. */
  outside?: boolean;
  /** Who made it: the proposer, or what stood in for it. */
  by: string;
  /** Trials that it was made from. */
  parents: number[];
  /** In the proposer's own words. */
  why?: string;
}

export interface Trial extends Candidate {
  /** From 1, in the order of the log. */
  id: number;
  generation: number;
}

/** Token counts of one rendered text, and its legibility by the probe. */
export interface RenderCheck {
  pages: number;
  textTokens: number;
  visualTokens: number;
  /**
   * Predicted, exactly: counts do not depend on what a plan ranks, nor passages by words on the pages. Where
   * the model says itself what it reads, the passages count as their budget.
   */
  contextTokens: number;
  /** Of these, text tokens of the passages of a question, in the mean; absent where none are read. */
  expandedTokens?: number;
  /** Characters that the probe reads wrongly, of all; null where there is no probe. */
  characterErrorRate: number | null;
}

/** Scores of one text's questions under one configuration. */
export interface DocumentScore {
  document: string;
  /** 0 to 1 for each question, in their order. */
  scores: number[];
  textTokens: number;
  visualTokens: number;
  /** A question, in the mean. */
  contextTokens: number;
  /** Of these, text tokens of the passages; absent where none were to be read. */
  expandedTokens?: number;
}

export interface Failure {
  code: string;
  message: string;
}

/**
 * As trial logs hold it, whose words stay as they are: `glance` is a {@link RenderCheck}.
 *
 * `glance`: drawn and probed. `infeasible`: drawn, and denser text than asked for was not reached.
 * `scored`: questions were asked. `failed`: this configuration cannot be drawn or read here.
 */
export type Outcome =
  | { kind: 'glance'; glance: RenderCheck }
  | { kind: 'infeasible'; glance: RenderCheck }
  | { kind: 'scored'; documents: DocumentScore[] }
  | { kind: 'failed'; failure: Failure };

/** A trial with all its outcomes. */
export interface TrialRecord {
  trial: Trial;
  renderCheck: RenderCheck | null;
  infeasible: boolean;
  failure: Failure | null;
  /** Train texts asked so far, in their order. */
  documents: DocumentScore[];
  /** The last rung that was finished: 0 render check, 1 few texts, … */
  rung: number;
}

/** Records the outcome of a step. */
export function takeOutcome(record: TrialRecord, outcome: Outcome): void {
  record.rung++;
  if (outcome.kind === 'failed') record.failure = outcome.failure;
  else if (outcome.kind === 'scored') record.documents.push(...outcome.documents);
  else {
    record.renderCheck = outcome.glance;
    record.infeasible = outcome.kind === 'infeasible';
  }
}

export function stackedRatioOf({
  textTokens,
  contextTokens,
}: Pick<RenderCheck, 'textTokens' | 'contextTokens'>): number {
  return contextTokens > 0 ? textTokens / contextTokens : 0;
}

/** Over all texts that were asked, else over the one that was looked at. */
export function ratioOf({ renderCheck, documents }: TrialRecord): number {
  const texts = documents.length > 0 ? documents : renderCheck ? [renderCheck] : [];
  const sum = (field: 'textTokens' | 'contextTokens') =>
    texts.reduce((total, text) => total + text[field], 0);
  return stackedRatioOf({ textTokens: sum('textTokens'), contextTokens: sum('contextTokens') });
}

/** Mean score of the questions; null if none was asked. */
export function accuracyOf(documents: readonly DocumentScore[]): number | null {
  const scores = documents.flatMap(({ scores }) => scores);
  return scores.length === 0 ? null : scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/** 1 where the probe reads every character; null without a probe. */
export function legibilityOf({ renderCheck }: TrialRecord): number | null {
  const rate = renderCheck?.characterErrorRate ?? null;
  return rate === null ? null : Math.max(0, 1 - rate);
}
