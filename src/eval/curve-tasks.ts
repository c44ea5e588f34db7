/** The texts of a pruning curve: the same text and questions under every condition. */

import type { RenderConfig } from '../render/index.js';
import { type CurveCondition, UNPRUNED } from './curve-conditions.js';
import { Draft } from './draft.js';
import { type Haystack, madeUpHaystack } from './haystack.js';
import { collapseSpaces } from './metrics/character-error.js';
import type { EvalPlan } from './plan.js';
import { askValue, type PromptStyle } from './questions.js';
import type { EvalDocument } from './task.js';
import { askPassage } from './tasks/transcription.js';

export const CURVE_TASKS = ['lookup', 'hex', 'transcribe'] as const;
export type CurveTask = (typeof CURVE_TASKS)[number];

/** A sentence with a value, a token for each byte; enough to be wrong at length. */
const VALUE_TOKENS = 80;

/** Sentences, in the mean. What line breaks cost is part of what renderings differ in. */
const SENTENCES_A_PARAGRAPH = 5;

/** Made-up prose in paragraphs as people write them. */
export const shortParagraphs: Haystack = (random, characters) =>
  madeUpHaystack(random, characters).map(({ text }) => ({
    text,
    endsParagraph: random.below(SENTENCES_A_PARAGRAPH) === 0,
  }));

export interface CurveSetting {
  /** Each gives a text of its own, and its own random choices of the plans. */
  seeds: readonly number[];
  /** Questions of each task about each text. */
  questions: Readonly<Record<CurveTask, number>>;
  /** Of each text. */
  characters: number;
  style: PromptStyle;
  /** @defaultValue made-up prose in short paragraphs */
  haystack?: Haystack;
}

/** Which condition and seed a document of the run stands for. */
export interface CurveCase {
  condition: CurveCondition;
  seed: number;
}

export interface CurvePlan extends EvalPlan {
  conditions: CurveCondition[];
  /** By document id. */
  cases: ReadonlyMap<string, CurveCase>;
}

export function planCurve(
  renderings: Readonly<Record<string, RenderConfig>>,
  conditions: CurveCondition[],
  setting: CurveSetting,
): CurvePlan {
  const cases = new Map<string, CurveCase>();
  const documents: EvalDocument[] = [];
  // By rendering within a seed, so that pages are drawn and encoded once for all plans.
  const byRendering = Object.keys(renderings).flatMap((rendering) =>
    conditions.filter((condition) => condition.rendering === rendering),
  );
  for (const seed of setting.seeds) {
    const text = makeText(seed, setting);
    for (const condition of byRendering) {
      const id = `${condition.name} #${seed}`;
      cases.set(id, { condition, seed });
      documents.push({
        ...text,
        id,
        group: condition.name,
        rendering: condition.rendering,
        questions: text.questions.map((question, i) => ({ ...question, id: `${id}/${i + 1}` })),
      });
    }
  }
  return { suite: 'curve', renderings, documents, conditions, cases };
}

function makeText(seed: number, setting: CurveSetting): EvalDocument {
  const { questions, characters, style, haystack = shortParagraphs } = setting;
  const draft = new Draft({
    id: 'curve',
    seed,
    group: UNPRUNED,
    rendering: '',
    pages: 1,
    characters,
    depths: evenly(Math.max(1, questions.transcribe)),
    haystack,
    style,
  });
  const facts = (['lookup', 'hex'] as const).flatMap((kind) =>
    evenly(questions[kind]).map((depth) => ({
      kind,
      depth,
      fact: draft.fact(kind === 'hex' ? 'hex' : 'code'),
    })),
  );
  for (const { depth, fact } of facts) draft.hide(depth, fact);
  const values = facts.map(({ fact }) => fact.value);
  for (const { kind, depth, fact } of facts) {
    draft.ask({
      kind,
      question: askValue(fact, style),
      expected: [fact.value],
      wrong: values.filter((value) => value !== fact.value),
      metric: 'value',
      depth,
      maxNewTokens: VALUE_TOKENS,
    });
  }
  const text = collapseSpaces(draft.text);
  for (const depth of evenly(questions.transcribe)) askPassage(draft, text, depth, 'transcribe');
  return { ...draft.finish(), pages: null };
}

/** In the middle of equal parts of the text. */
function evenly(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i + 0.5) / count);
}
