/**
 * The loop: generations of trials, each drawn and probed, the promising asked more and more; then
 * the best are compared on texts that no trial has seen, and reported on others again.
 *
 * Every decision follows from the journal, the seed and the number of a trial, never from time or
 * the state of the process: a run that goes on makes the same trials as one that was never stopped.
 */

import { GlyphpressError } from '../errors.js';
import { SeededRandom } from '../eval/seeded-random.js';
import type { EvalDocument } from '../eval/task.js';
import type { RawRenderConfig } from '../render/index.js';
import { Batch, type Job } from './batch.js';
import type { Evaluator } from './evaluator.js';
import type { Journal } from './journal.js';
import { hypervolume, nonDominatedFronts } from './pareto.js';
import { type Proposer, type Round, type RoundNotes, SeenPoints } from './proposer.js';
import { GLYPH_CONFIG_EN } from './references.js';
import { drawPoint } from './repair.js';
import { chosenOf, eligible, type FinalScores, finalists, trainPoint } from './result.js';
import { isUsable, promoted } from './selection.js';
import { settingsOf } from './settings.js';
import type { Space } from './space.js';
import { rungsOf, type SearchTasks, type Split } from './tasks.js';
import {
  type Candidate,
  type DocumentScore,
  type Outcome,
  stackedRatioOf,
  type TrialRecord,
  takeOutcome,
} from './trial.js';

export interface SearchSetting {
  space: Space;
  tasks: SearchTasks;
  evaluator: Evaluator;
  proposer: Proposer;
  /** Tried first, and compared with. */
  references: readonly Candidate[];
  /** The model's own rendering; null for the default preset. */
  defaultConfig: RawRenderConfig | null;
  seed: number;
  /** Configurations to look at, presets included. */
  budget: number;
  /** Trials of a generation. */
  generation: number;
  /** Generations in a row without a larger hypervolume that end the search. */
  patience: number;
  /** Text ÷ context tokens that every result reaches. */
  minRatio: number;
}

export interface SearchProgress {
  generation: number;
  /** New trials are made, drawn and probed, asked; in the end the best are compared. */
  stage: 'propose' | 'look' | 'ask' | 'compare';
  /** Trials that were finished, of the budget. */
  trials: number;
  budget: number;
  front: readonly { id: number; accuracy: number; stackedRatio: number }[];
  hypervolume: number;
  /** Steps that the journal of an earlier run held. */
  replayed: number;
}

export interface SearchHooks {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: SearchProgress) => void) | undefined;
}

/** One generation in short. */
export interface GenerationSummary {
  generation: number;
  trials: number[];
  /** Of the fully asked trials so far, on train texts. */
  hypervolume: number;
  front: number[];
  notes?: RoundNotes;
}

export interface SearchOutcome {
  records: TrialRecord[];
  generations: GenerationSummary[];
  finals: FinalScores[];
  stoppedBy: 'budget' | 'patience' | 'space';
}

/** Growth of the hypervolume that counts as none. */
const NO_GROWTH = 1e-9;

/** @throws {GlyphpressError} GP_SEARCH_FAILED where no configuration can be tried, GP_SEARCH_SPACE, and
 *   that of the surroundings when they are gone; the journal keeps the rest */
export async function runSearch(
  setting: SearchSetting,
  journal: Journal,
  hooks: SearchHooks = {},
): Promise<SearchOutcome> {
  return new Run(setting, journal, hooks).run();
}

class Run {
  readonly #records: TrialRecord[] = [];
  readonly #generations: GenerationSummary[] = [];
  readonly #rungs: number[];
  readonly #questions: number;
  readonly #batch: Batch;
  readonly #replayable: number;
  #stage: SearchProgress['stage'] = 'propose';

  constructor(
    private readonly setting: SearchSetting,
    private readonly journal: Journal,
    private readonly hooks: SearchHooks,
  ) {
    const { tasks, evaluator } = setting;
    this.#rungs = rungsOf(tasks.train.length);
    this.#questions = tasks.train.reduce((sum, { questions }) => sum + questions.length, 0);
    this.#batch = new Batch(journal, evaluator, hooks.signal);
    this.#replayable = journal.ahead;
  }

  async run(): Promise<SearchOutcome> {
    const { budget, patience } = this.setting;
    let stoppedBy: SearchOutcome['stoppedBy'] = 'budget';
    let idle = 0;
    while (this.#records.length < budget) {
      const before = this.#hypervolume();
      const { added, notes } = await this.#proposals();
      if (added.length === 0) {
        stoppedBy = 'space';
        break;
      }
      await this.#look(added);
      if (this.#generations.length === 0) assertSomethingWorks(added);
      await this.#ask(added);
      const reached = this.#hypervolume();
      this.#generations.push({
        generation: this.#generations.length,
        trials: added.map(({ trial }) => trial.id),
        hypervolume: reached,
        front: this.#front().map(({ trial }) => trial.id),
        ...(notes && { notes }),
      });
      idle = reached > before + NO_GROWTH ? 0 : idle + 1;
      if (idle >= patience && this.#records.length < budget) {
        stoppedBy = 'patience';
        break;
      }
    }
    const finals = await this.#compare();
    return { records: this.#records, generations: this.#generations, finals, stoppedBy };
  }

  /** What is tried next, as the journal says or as the proposer wants it. */
  async #proposals(): Promise<{ added: TrialRecord[]; notes?: RoundNotes | undefined }> {
    this.#tell('propose');
    const { budget, generation: size, references } = this.setting;
    const generation = this.#generations.length;
    const left = budget - this.#records.length;
    const count = Math.min(
      left,
      // The first generation holds the presets, and as many draws as any other.
      generation === 0
        ? Math.max(size, Math.min(references.length + size, Math.ceil(budget / 2)))
        : size,
    );
    const from = this.#records.length + 1;
    const ids = Array.from({ length: count }, (_, i) => from + i);
    const round = await this.journal.step(`propose ${generation}`, () =>
      generation === 0 ? this.#firstRound(ids) : this.#laterRound(ids, generation),
    );
    if (round.notes) this.setting.proposer.remember?.(round.notes);
    const added = round.candidates.map(
      (candidate, i): TrialRecord => ({
        trial: { ...candidate, id: from + i, generation },
        renderCheck: null,
        infeasible: false,
        failure: null,
        documents: [],
        rung: -1,
      }),
    );
    this.#records.push(...added);
    return { added, notes: round.notes };
  }

  #firstRound(ids: readonly number[]): { candidates: Candidate[]; notes?: RoundNotes } {
    const { space, references, seed, evaluator } = this.setting;
    const candidates: Candidate[] = references.slice(0, ids.length);
    const seen = new SeenPoints([], evaluator.layers);
    for (const id of ids.slice(candidates.length)) {
      const random = new SeededRandom(`${seed}/first/${id}`);
      const point = drawPoint(space, random);
      if (seen.add(point))
        candidates.push({
          point,
          settings: settingsOf(point, evaluator.layers),
          by: 'draw',
          parents: [],
        });
    }
    return { candidates };
  }

  async #laterRound(ids: readonly number[], generation: number) {
    const { space, seed, evaluator, proposer, minRatio } = this.setting;
    const { signal } = this.hooks;
    const round: Round = await proposer.propose({
      space,
      layers: evaluator.layers,
      seed,
      generation,
      ids,
      records: this.#records,
      minRatio,
      signal,
    });
    const candidates = round.proposals.map(
      (proposal): Candidate => ({
        ...proposal,
        settings: settingsOf(proposal.point, evaluator.layers),
      }),
    );
    return { candidates, ...(round.notes && { notes: round.notes }) };
  }

  /** Rung 0: every trial draws the first train text; the probe reads it. */
  async #look(added: readonly TrialRecord[]): Promise<void> {
    const { tasks, evaluator, minRatio } = this.setting;
    const text = tasks.train[0]!;
    const minRenderRatio = Math.min(1, minRatio);
    this.#tell('look');
    await this.#run(added, (record) => ({
      step: `look ${record.trial.id}`,
      work: async (signal): Promise<Outcome> => {
        const check = await evaluator.checkRendering(
          record.trial.settings,
          text,
          minRenderRatio,
          signal,
        );
        const isSparse =
          stackedRatioOf(check) < minRatio ||
          check.textTokens < minRenderRatio * check.visualTokens;
        return { kind: isSparse ? 'infeasible' : 'glance', glance: check };
      },
    }));
  }

  /** Rungs 1, 2, …: the promising are asked about more and more train texts. */
  async #ask(added: readonly TrialRecord[]): Promise<void> {
    const { tasks, evaluator } = this.setting;
    let alive = added;
    let asked = 0;
    for (const [i, upTo] of this.#rungs.entries()) {
      alive = promoted(alive, this.#records, this.#questions);
      const texts = tasks.train.slice(asked, upTo);
      this.#tell('ask');
      await this.#run(alive, (record) => ({
        step: `ask ${record.trial.id} rung ${i + 1}`,
        work: async (signal): Promise<Outcome> => {
          const documents: DocumentScore[] = [];
          for (const text of texts)
            documents.push(await evaluator.score(record.trial.settings, text, signal));
          return { kind: 'scored', documents };
        },
      }));
      asked = upTo;
    }
  }

  /** The best on validation texts, then the chosen of them and the presets on held-out ones. */
  async #compare(): Promise<FinalScores[]> {
    const { tasks } = this.setting;
    this.#tell('compare');
    const ask = async (records: readonly TrialRecord[], split: Split) => {
      const finals: FinalScores[] = [];
      await this.#batch.run(
        records.map(({ trial }) => ({
          step: `${split} ${trial.id}`,
          work: (signal) => this.#scores(trial.settings, tasks[split], signal),
        })),
        (outcome, i) => {
          if (outcome.kind === 'scored')
            finals.push({ trial: records[i]!.trial.id, split, documents: outcome.documents });
        },
      );
      return finals;
    };
    const validation = await ask(finalists(this.#records, this.#questions), 'validation');
    const chosen = chosenOf(this.#records, validation);
    const full = new Set(eligible(this.#records, this.#questions));
    const named = this.#records.filter(
      (record) =>
        record.trial.name !== undefined &&
        (full.has(record) || (record.trial.name === GLYPH_CONFIG_EN && isUsable(record))),
    );
    const reported = [...new Set([...chosen, ...named])];
    return [...validation, ...(await ask(reported, 'heldOut'))];
  }

  async #scores(
    settings: Candidate['settings'],
    texts: readonly EvalDocument[],
    signal?: AbortSignal,
  ): Promise<Outcome> {
    const documents: DocumentScore[] = [];
    for (const text of texts)
      documents.push(await this.setting.evaluator.score(settings, text, signal));
    return { kind: 'scored', documents };
  }

  async #run(records: readonly TrialRecord[], job: (record: TrialRecord) => Job): Promise<void> {
    await this.#batch.run(records.map(job), (outcome, i) => {
      takeOutcome(records[i]!, outcome);
      this.#tell(this.#stage);
    });
  }

  #hypervolume(): number {
    return hypervolume(eligible(this.#records, this.#questions).map(trainPoint));
  }

  #front(): TrialRecord[] {
    const full = eligible(this.#records, this.#questions);
    const [first = []] = nonDominatedFronts(full.map(trainPoint));
    return first.map((i) => full[i]!);
  }

  #tell(stage: SearchProgress['stage']): void {
    this.#stage = stage;
    this.hooks.onProgress?.({
      generation: this.#generations.length,
      stage,
      trials: this.#records.filter(({ renderCheck, failure }) => renderCheck || failure).length,
      budget: this.setting.budget,
      front: this.#front().map((record) => ({ id: record.trial.id, ...trainPoint(record) })),
      hypervolume: this.#hypervolume(),
      replayed: this.#replayable - this.journal.ahead,
    });
  }
}

/** @throws {GlyphpressError} GP_SEARCH_FAILED */
function assertSomethingWorks(first: readonly TrialRecord[]): void {
  const { failure } = first[0]!;
  if (!failure || first.some((record) => record.failure === null)) return;
  throw new GlyphpressError('GP_SEARCH_FAILED', {
    message: `None of the first ${first.length} configurations could be tried: ${failure.message} (${failure.code})`,
    hint: 'Mend that, then start a new search in another folder.',
    details: { code: failure.code },
  });
}
