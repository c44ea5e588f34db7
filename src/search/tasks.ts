/**
 * What a search is judged by: texts with questions in three parts. `train` is what trials are scored
 * on, `validation` decides between the best of them, `held-out` is only reported: whoever searches
 * long enough finds what fits the train texts by chance.
 */

import { GlyphpressError } from '../errors.js';
import { shortParagraphs } from '../eval/curve-tasks.js';
import type { Haystack } from '../eval/haystack.js';
import type { PromptStyle } from '../eval/questions.js';
import { SeededRandom } from '../eval/seeded-random.js';
import type { EvalDocument } from '../eval/task.js';
import { makeLookUp } from '../eval/tasks/look-up.js';
import { sha256Hex } from '../sha256.js';

export const SPLITS = ['train', 'validation', 'heldOut'] as const;
export type Split = (typeof SPLITS)[number];

export type SearchTasks = { name: string } & Record<Split, EvalDocument[]>;

/** Texts of each part for one train text; held-out figures are what is published. */
const PARTS: Readonly<Record<Split, number>> = { train: 1, validation: 1, heldOut: 2 };
const PARTS_TOTAL = 4;

export interface QuickSetting {
  seed: number;
  style: PromptStyle;
  /** Train texts. */
  samples: number;
  /** Of each text. */
  characters: number;
  /** Look-ups about each text. */
  questions: number;
  /** @defaultValue made-up prose in short paragraphs */
  haystack?: Haystack;
}

/** Texts of a page with look-ups at even depths: a trial asks few questions, and shows its worst. */
export function quickTasks(setting: QuickSetting): SearchTasks {
  const { samples, questions, haystack = shortParagraphs } = setting;
  const documents = Array.from({ length: samples * PARTS_TOTAL }, (_, i) =>
    makeLookUp({
      id: `quick/${i + 1}`,
      seed: setting.seed,
      group: 'lookup',
      rendering: 'page',
      pages: 1,
      characters: setting.characters,
      depths: Array.from({ length: questions }, (_, n) => (n + 0.5) / questions),
      haystack,
      style: setting.style,
    }),
  );
  return splitTasks('quick', documents, setting.seed);
}

/** Documents that {@link splitTasks} needs for so many train documents. */
export const documentsFor = (samples: number) => samples * PARTS_TOTAL;

/**
 * A quarter to train on, a quarter to choose by, a half to report. Few documents are divided by their
 * questions instead, so that each part asks about every one of them.
 *
 * @param seed shuffles documents, so that no part is all of one kind
 * @throws {GlyphpressError} GP_INPUT_EMPTY for fewer questions than parts
 */
export function splitTasks(
  name: string,
  documents: readonly EvalDocument[],
  seed: number,
): SearchTasks {
  const units = documents.length >= PARTS_TOTAL ? documents : documents.flatMap(singleQuestions);
  if (units.length < PARTS_TOTAL) {
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: `Expected at least ${PARTS_TOTAL} questions to search with, got ${units.length}`,
      hint: 'They are divided into train, validation and held-out questions; give more.',
      details: { questions: units.length, least: PARTS_TOTAL },
    });
  }
  const shuffled = new SeededRandom(`${seed}/split`).shuffled(units);
  let from = 0;
  const parts = SPLITS.map((split, i) => {
    const last = i === SPLITS.length - 1;
    const count = Math.max(1, Math.floor((shuffled.length * PARTS[split]) / PARTS_TOTAL));
    const own = shuffled.slice(from, last ? undefined : from + count);
    from += own.length;
    return [split, byDocument(own, split)] as const;
  });
  return { name, ...(Object.fromEntries(parts) as Record<Split, EvalDocument[]>) };
}

function singleQuestions(document: EvalDocument): EvalDocument[] {
  return document.questions.map((question) => ({ ...document, questions: [question] }));
}

/** Questions about one text together again: its pages are drawn once. */
function byDocument(units: readonly EvalDocument[], split: Split): EvalDocument[] {
  const byId = new Map<string, EvalDocument>();
  for (const unit of units) {
    const known = byId.get(unit.id);
    if (known) known.questions.push(...unit.questions);
    else byId.set(unit.id, { ...unit, id: `${split}/${unit.id}`, questions: [...unit.questions] });
  }
  return [...byId.values()];
}

/** Equal hashes: the same texts, questions and parts. */
export function tasksHash(tasks: SearchTasks): string {
  return sha256Hex(JSON.stringify(tasks)).slice(0, 32);
}

/**
 * How many train texts each rung of successive halving asks about in all: one in four, then twice as
 * many each time, to all of them.
 */
export function rungsOf(texts: number): number[] {
  const rungs: number[] = [];
  for (let count = Math.ceil(texts / 4); count < texts; count *= 2) rungs.push(count);
  return [...rungs, texts];
}
