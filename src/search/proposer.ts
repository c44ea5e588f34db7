/** Who says what to try next. Every proposer sees the same trials and answers in the same form. */

import type { Point } from './point.js';
import { settingsId, settingsOf } from './settings.js';
import type { Space } from './space.js';
import type { TrialRecord } from './trial.js';

export interface ProposalRequest {
  space: Space;
  /** Decoder layers; null where nothing can be dropped. */
  layers: number | null;
  /** Everything random is drawn under this name and the number of the trial. */
  seed: number;
  generation: number;
  /** Numbers that the trials will have: as many proposals are wanted. */
  ids: readonly number[];
  /** All trials so far, in order. */
  records: readonly TrialRecord[];
  /** What every result must reach, in text ÷ context tokens. */
  minRatio: number;
  signal?: AbortSignal | undefined;
}

export interface Proposal {
  /** Repaired: it can be drawn. */
  point: Point;
  by: string;
  parents: number[];
  why?: string;
}

/** What a language model said, and what became of it. */
export interface RoundNotes {
  analysis: string;
  critique: string;
  /** Of all attempts of the round: as the server counts, else in o200k_base. */
  promptTokens: number;
  replyTokens: number;
  attempts: number;
  /** Proposals that were missing, seen, no points of the space, or only in part. */
  unusable: number;
  /** Why evolution stood in for the whole round; absent if it did not. */
  failure?: string;
}

export interface Round {
  /** Each differs from all trials and from the others. Fewer than asked for: there are no more. */
  proposals: Proposal[];
  notes?: RoundNotes;
}

export interface Proposer {
  readonly name: string;
  propose(request: ProposalRequest): Promise<Round>;
  /** Told of every round that is read back from a journal instead of made. */
  remember?(notes: RoundNotes): void;
}

/** The settings that were tried already. */
export class SeenPoints {
  readonly #ids: Set<string>;

  constructor(
    records: readonly TrialRecord[],
    private readonly layers: number | null,
  ) {
    this.#ids = new Set(records.map(({ trial }) => settingsId(trial.settings)));
  }

  /** @returns whether the point is new; it counts as seen from then on */
  add(point: Point): boolean {
    const isNew = !this.has(point);
    this.#ids.add(this.#id(point));
    return isNew;
  }

  has(point: Point): boolean {
    return this.#ids.has(this.#id(point));
  }

  #id(point: Point): string {
    return settingsId(settingsOf(point, this.layers));
  }
}

/** Draws until a point is new; more in vain than this, and the space is used up. */
export const ATTEMPTS = 60;
