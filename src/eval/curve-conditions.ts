/** What a pruning curve compares: renderings from sparse to dense, and prune plans on one of them. */

import {
  decoderPlanFromKeep,
  NAMED_PLANS,
  namedPlan,
  type PrunePlan,
  planFromKeep,
  questionFirstPlan,
  randomTwin,
  textAwareApet,
} from '../prune/index.js';
import { type RenderConfig, renderConfigId } from '../render/index.js';

/** `rendering`: nothing is dropped. `control`: drawn at random. `named`: a plan of the list. */
export type ConditionKind = 'rendering' | 'method' | 'control' | 'named';

export interface CurveCondition {
  /** Unique; it names documents and results. */
  name: string;
  /** Points of one series make one line of the chart. */
  series: string;
  kind: ConditionKind;
  /** Name in the plan's renderings. */
  rendering: string;
  /** As asked for; null where nothing is dropped by share. */
  keep: number | null;
  plan: PrunePlan;
  /** The condition that drops as many at random. */
  twin?: string;
  /** Methods beyond the papers, of which the report names the best. */
  beyond?: boolean;
  /** The question stands before the pages too; in all else it is the condition of this name. */
  questionFirstOf?: string;
}

export const UNPRUNED = 'no pruning';
export const UNPRUNED_QUESTION_FIRST = `${UNPRUNED}, question first`;
/** The rendering that plans are tried on: what the model was trained to read. */
const BASE_RENDERING = 'base';

const NEWLINE_MARK = '<font color="#FF0000"> \\n </font>';

/**
 * Renderings from sparse to dense as departures from what the model was trained on. A model that
 * reads one grid of letters reads some of these badly or not at all: then a low score is the result.
 * One that is the base itself is left out.
 */
export function curveRenderings(base: RenderConfig): Record<string, RenderConfig> {
  const pt = (px: number) => (px * 72) / base.dpi;
  const pitch = (rows: number) => ({ lineHeightPt: pt(base.visualTokenPx / rows) });
  const marks = { newlineMarkup: NEWLINE_MARK };
  const renderings: Record<string, RenderConfig> = {
    'one row a cell': { ...base, ...pitch(1) },
    'two rows a cell': { ...base, ...pitch(2) },
    'space between paragraphs': { ...base, spaceAfterPt: base.lineHeightPt },
    'lines broken between words': { ...base, lineBreaking: 'word', lineOverlapPt: 0 },
    [BASE_RENDERING]: base,
    'newline marks': { ...base, ...marks },
    'newline marks, lines broken anywhere': {
      ...base,
      ...marks,
      lineBreaking: 'anywhere',
      lineOverlapPt: 0,
    },
    'type 5/6 as large, newline marks': {
      ...base,
      ...marks,
      fontSizePt: (base.fontSizePt * 5) / 6,
    },
    'type 3/4 as large, four rows a cell, newline marks': {
      ...base,
      ...marks,
      ...pitch(4),
      fontSizePt: base.fontSizePt * 0.75,
    },
    'type half as large, four rows a cell, newline marks': {
      ...base,
      ...marks,
      ...pitch(4),
      fontSizePt: base.fontSizePt / 2,
    },
  };
  const isBase = (config: RenderConfig) => renderConfigId(config) === renderConfigId(base);
  return Object.fromEntries(
    Object.entries(renderings).filter(
      ([name, config]) => name === BASE_RENDERING || !isBase(config),
    ),
  );
}

/** Methods beyond the papers: each a plan for a share of the visual tokens. */
const BEYOND: Record<string, (keep: number) => PrunePlan> = {
  'text-aware ApET': textAwareApet,
  'token norm': (keep) => ({
    encoder: { method: 'norm', keepRatio: keep, blank: 'drop' },
    decoder: [],
  }),
  'edge density': (keep) => ({
    encoder: { method: 'edges', keepRatio: keep, blank: 'drop' },
    decoder: [],
  }),
  'edge density, whole words': (keep) => ({
    encoder: { method: 'edges', keepRatio: keep, blank: 'drop', minPerLine: 1, neighbours: 2 },
    decoder: [],
  }),
  'ApET, pages by ink': (keep) => ({
    encoder: { method: 'apet', keepRatio: keep, blank: 'drop', scope: 'page', pageShare: 'ink' },
    decoder: [],
  }),
};
export const BEYOND_METHODS = Object.keys(BEYOND);
const QUICK_BEYOND = BEYOND_METHODS.slice(0, 1);
const V2DROP_QUESTION_FIRST = 'V²Drop, question first';
/** The plan of `--question-first --keep`, and what is left of it where the question stands behind alone. */
const V2DROP_TRAIL = 'V²Drop with trail';
const V2DROP_TRAIL_QUESTION_FIRST = `${V2DROP_TRAIL}, question first`;
const WITHOUT_QUICK_TWIN = ['ApET and V²Drop', V2DROP_QUESTION_FIRST];

export interface ConditionSetting {
  /** Decoder layers of the model. */
  layers: number;
  /** Shares of the visual tokens, mean over the layers, each in (0, 1). */
  keeps: readonly number[];
  /** Fewer methods and controls. */
  quick: boolean;
}

export function curveConditions(
  renderings: Readonly<Record<string, RenderConfig>>,
  { layers, keeps, quick }: ConditionSetting,
): CurveCondition[] {
  const conditions: CurveCondition[] = Object.keys(renderings).map((rendering) => ({
    name: rendering === BASE_RENDERING ? UNPRUNED : `${UNPRUNED}, ${rendering}`,
    series: UNPRUNED,
    kind: 'rendering',
    rendering,
    keep: null,
    plan: { decoder: [] },
  }));
  const add = (condition: Omit<CurveCondition, 'rendering'>) =>
    conditions.push({ ...condition, rendering: BASE_RENDERING });

  add({
    name: UNPRUNED_QUESTION_FIRST,
    series: UNPRUNED_QUESTION_FIRST,
    kind: 'rendering',
    keep: null,
    plan: { decoder: [] },
    questionFirstOf: UNPRUNED,
  });
  const blank = namedPlan('lossless', layers)!;
  add({ name: 'lossless', series: 'blank cells', kind: 'named', keep: null, plan: blank });
  for (const keep of keeps) {
    const percent = `${Math.round(keep * 100)} %`;
    const ranked = (series: string, plan: PrunePlan | null, more: Partial<CurveCondition> = {}) => {
      if (!plan) return;
      const name = `${series}, ${percent}`;
      const control = `random like ${series}`;
      const hasTwin = !more.beyond && !(quick && WITHOUT_QUICK_TWIN.includes(series));
      const twin = `${control}, ${percent}`;
      add({ name, series, kind: 'method', keep, plan, ...(hasTwin && { twin }), ...more });
      if (!hasTwin) return;
      const plain = more.questionFirstOf;
      const first = plain !== undefined && { questionFirstOf: `random like ${plain}` };
      add({ name: twin, series: control, kind: 'control', keep, plan: randomTwin(plan), ...first });
    };
    ranked('V²Drop', decoderPlanFromKeep(keep, layers));
    if (!quick || keep === Math.max(...keeps)) {
      const questionFirstOf = `V²Drop, ${percent}`;
      ranked(V2DROP_QUESTION_FIRST, decoderPlanFromKeep(keep, layers), { questionFirstOf });
    }
    const trailing = questionFirstPlan(keep, layers);
    if (trailing.decoder.length > 0) {
      ranked(V2DROP_TRAIL, trailing);
      ranked(V2DROP_TRAIL_QUESTION_FIRST, trailing, {
        questionFirstOf: `${V2DROP_TRAIL}, ${percent}`,
      });
    }
    ranked('ApET', { encoder: { method: 'apet', keepRatio: keep }, decoder: [] });
    ranked('ApET and V²Drop', stackedPlan(keep, layers));
    for (const method of quick ? QUICK_BEYOND : BEYOND_METHODS)
      ranked(method, BEYOND[method]!(keep), { beyond: true });
  }
  for (const name of Object.keys(NAMED_PLANS)) {
    if (conditions.some((condition) => condition.name === name)) continue;
    add({ name, series: name, kind: 'named', keep: null, plan: namedPlan(name, layers)! });
  }
  return conditions;
}

/**
 * The conditions whose names hold one of the words, and those that they are held against: the pages
 * without pruning, controls, and the same with the question behind the pages alone.
 */
export function conditionsNamed(
  conditions: readonly CurveCondition[],
  words: readonly string[],
): CurveCondition[] {
  const wanted = new Set([UNPRUNED]);
  for (const { name, twin, questionFirstOf } of conditions) {
    if (!words.some((word) => name.toLowerCase().includes(word.toLowerCase()))) continue;
    wanted.add(name);
    if (twin) wanted.add(twin);
    if (questionFirstOf) wanted.add(questionFirstOf).add(UNPRUNED_QUESTION_FIRST);
  }
  return conditions.filter(({ name }) => wanted.has(name));
}

/** Both methods drop equally: each keeps the square root of the share. */
function stackedPlan(keep: number, layers: number): PrunePlan {
  const each = Math.sqrt(keep);
  const between = decoderPlanFromKeep(each, layers) ?? planFromKeep(1, layers);
  return {
    encoder: { method: 'apet', keepRatio: between.decoder.length > 0 ? each : keep },
    decoder: between.decoder,
  };
}
