/** Results → figures. Depends on the results alone, not on how often the run was broken off. */

import { type RenderConfig, renderConfigId } from '../render/index.js';
import { bootstrapInterval, type Interval, wilsonInterval } from './interval.js';
import type { EvalPlan, Headline, Measure } from './plan.js';
import type { Account, QuestionAccount, ResultLine } from './results-log.js';
import type { EvalDocument, EvalQuestion } from './task.js';
import { type TokenRatios, tokenRatios } from './token-ratios.js';

export interface Figure extends Interval {
  questions: number;
  /** Of these, questions that ended in an error; they count as wrong. */
  failed: number;
  /** 0 to 1; null where there is no question to tell. */
  value: number | null;
}

export interface TableRow extends Figure, TokenRatios {
  label: string;
  group: string;
  kind: string;
  measure: Measure;
  rendering: string;
  /** As chosen, or the mean of what the given documents came to. */
  pages: number;
  /** Of the answers of this row; null where none was given passages. */
  passages: PassageCounts | null;
}

/** Answers that were given passages of the source as text. */
export interface PassageCounts {
  answers: number;
  /** Of these, answers for which the pages were not read: the model reads passages alone. */
  withoutPages: number;
}

/** Sums over its documents. */
export interface RenderingRow extends Account, TokenRatios {
  name: string;
  renderConfigId: string;
  config: RenderConfig;
  documents: number;
}

/** A field of the heat map. */
export interface DepthCell extends Figure {
  group: string;
  kind: string;
  pages: number;
  /** Null where the depth is not known. */
  depth: number | null;
}

export interface EvalReport {
  version: 1;
  suite: string;
  /** What the results depend on. */
  key: Record<string, string>;
  settings: Record<string, unknown>;
  questions: number;
  answered: number;
  failed: number;
  /** Null where no answer was given passages. */
  passages: PassageCounts | null;
  /** How it was asked, where that is not what one expects. */
  notes: string[];
  table: TableRow[];
  renderings: RenderingRow[];
  cells: DepthCell[];
  /** How often each error ended a question. */
  errors: Record<string, number>;
}

/** A question with its result. */
export interface Asked {
  document: EvalDocument;
  question: EvalQuestion;
  /** Undefined where the run has not come to it. */
  result: ResultLine | undefined;
}

export function makeReport(
  plan: EvalPlan,
  results: ReadonlyMap<string, ResultLine>,
  key: Record<string, string>,
  settings: Record<string, unknown> = {},
): EvalReport {
  const asked = askedOf(plan, results);
  const answered = asked.filter(({ result }) => result && 'score' in result).length;
  const errors: Record<string, number> = {};
  for (const { result } of asked) {
    if (result && 'error' in result)
      errors[result.error.code] = (errors[result.error.code] ?? 0) + 1;
  }
  return {
    version: 1,
    suite: plan.suite,
    key,
    settings,
    questions: asked.length,
    answered,
    failed: Object.values(errors).reduce((sum, count) => sum + count, 0),
    passages: passageCounts(asked),
    notes: [...(plan.notes ?? [])],
    table: (plan.headlines ?? everyGroup(asked)).map((headline) => tableRow(headline, asked)),
    renderings: Object.entries(plan.renderings).map(([name, config]) => {
      const { documents, ...account } = accountOf(asked, name);
      return { name, renderConfigId: renderConfigId(config), config, documents, ...account };
    }),
    cells: depthCells(asked),
    errors,
  };
}

export function passageCounts(asked: readonly Asked[]): PassageCounts | null {
  const readings = asked.flatMap(({ result }) =>
    result && 'account' in result && result.account.passages ? [result.account.passages] : [],
  );
  if (readings.length === 0) return null;
  const withoutPages = readings.filter((reading) => reading === 'alone').length;
  return { answers: readings.length, withoutPages };
}

export function askedOf(plan: EvalPlan, results: ReadonlyMap<string, ResultLine>): Asked[] {
  return plan.documents.flatMap((document) =>
    document.questions.map((question) => ({
      document,
      question,
      result: results.get(question.id),
    })),
  );
}

/** One row for each group, kind and length. */
function everyGroup(asked: readonly Asked[]): Headline[] {
  const rows = new Map<string, Headline>();
  for (const { document, question } of asked) {
    const { group } = document;
    const { kind } = question;
    const pages = document.pages;
    const measure: Measure = measuresErrors(question) ? 'characterErrorRate' : 'score';
    const label = kind === group ? kind : `${group}: ${kind}`;
    rows.set(JSON.stringify([group, kind, pages]), {
      label,
      group,
      kind,
      measure,
      ...(pages !== null && { pages }),
    });
    // Saying "not found" is only worth something beside how often it is said in error.
    if (
      kind === 'absent' ||
      !asked.some((other) => other.document.group === group && other.question.kind === 'absent')
    )
      continue;
    rows.set(JSON.stringify([group, kind, pages, 'saidNotFound']), {
      label: `${label}, false "not found"`,
      group,
      kind,
      measure: 'saidNotFound',
      ...(pages !== null && { pages }),
    });
  }
  return [...rows.values()];
}

function measuresErrors({ metric }: EvalQuestion): boolean {
  return metric === 'characterErrorRate' || metric === 'continuation';
}

function tableRow(headline: Headline, asked: readonly Asked[]): TableRow {
  const { label, group, kind, measure, pages } = headline;
  const rows = asked.filter(
    ({ document, question }) =>
      document.group === group &&
      question.kind === kind &&
      (pages === undefined || document.pages === pages),
  );
  const account = accountOf(rows);
  return {
    label,
    group,
    kind,
    measure,
    rendering: rows[0]!.document.rendering,
    pages: rows[0]!.document.pages ?? account.pages / Math.max(1, account.documents),
    passages: passageCounts(rows),
    renderRatio: account.renderRatio,
    pruneRatio: account.pruneRatio,
    stackedRatio: account.stackedRatio,
    ...figureOf(rows, measure),
  };
}

export function figureOf(rows: readonly Asked[], measure: Measure): Figure {
  const known = rows.filter(({ result }) => result !== undefined);
  const failed = known.filter(({ result }) => 'error' in result!).length;
  const shares = known.map(({ question, result }) => share(question, result!, measure));
  const part = shares.reduce((sum, item) => sum + item.part, 0);
  const whole = shares.reduce((sum, item) => sum + item.whole, 0);
  const counts = { questions: known.length, failed };
  if (whole === 0) return { ...counts, value: null, low: 0, high: 1 };
  // A graded score varies no more than one of right and wrong with the same mean, so Wilson holds for it.
  const interval =
    measure === 'characterErrorRate' ? bootstrapInterval(shares) : wilsonInterval(part, whole);
  return { ...counts, value: part / whole, ...interval };
}

/** What one result adds to a figure; an error adds a wrong answer. */
function share(question: EvalQuestion, result: ResultLine, measure: Measure) {
  if (measure === 'characterErrorRate') {
    const characters = [...(question.expected[0] ?? '')].length;
    if ('error' in result) return { part: characters, whole: characters };
    const { errors } = result.score;
    return errors
      ? { part: errors.edits, whole: errors.characters }
      : { part: 1 - result.score.value, whole: 1 };
  }
  if ('error' in result) return { part: 0, whole: 1 };
  if (measure === 'saidNotFound') return { part: result.score.notFound ? 1 : 0, whole: 1 };
  return { part: result.score.value, whole: 1 };
}

/** Tokens of the distinct documents that were opened. */
function accountOf(asked: readonly Asked[], rendering?: string) {
  const accounts = new Map<
    string,
    { account: QuestionAccount; questions: number; readsPages: boolean }
  >();
  for (const { document, result } of asked) {
    // What is read as text is in no rendering.
    const isOther = document.rendering !== rendering || document.as === 'text';
    if (rendering !== undefined && isOther) continue;
    if (!result || !('account' in result)) continue;
    const { account } = result;
    const known = accounts.get(document.id) ?? { account, questions: 0, readsPages: false };
    known.questions++;
    known.readsPages ||= account.passages !== 'alone';
    // What is read as text differs from question to question: the mean counts.
    const contextTokens =
      known.account.contextTokens +
      (account.contextTokens - known.account.contextTokens) / known.questions;
    accounts.set(document.id, {
      account: { ...account, contextTokens },
      questions: known.questions,
      readsPages: known.readsPages,
    });
  }
  const sum = (field: keyof Account) =>
    [...accounts.values()].reduce((total, { account }) => total + account[field], 0);
  const [pages, textTokens, visualTokens] = [sum('pages'), sum('textTokens'), sum('visualTokens')];
  const contextTokens = sum('contextTokens');
  const ratios = tokenRatios({ textTokens, visualTokens, contextTokens });
  const readsPages = [...accounts.values()].some(({ readsPages }) => readsPages);
  return {
    documents: accounts.size,
    pages,
    textTokens,
    visualTokens,
    contextTokens,
    ...ratios,
    // Pages that were not read were not pruned.
    ...(!readsPages && { pruneRatio: 0 }),
  };
}

function depthCells(asked: readonly Asked[]): DepthCell[] {
  const cells = new Map<string, Asked[]>();
  for (const one of asked) {
    const name = JSON.stringify([
      one.document.group,
      one.question.kind,
      lengthOf(one),
      one.question.depth ?? null,
    ]);
    cells.set(name, [...(cells.get(name) ?? []), one]);
  }
  return [...cells].map(([name, rows]) => {
    const [group, kind, pages, depth] = JSON.parse(name) as [string, string, number, number | null];
    return { group, kind, pages, depth, ...figureOf(rows, 'score') };
  });
}

/** Chosen lengths as they are; others fall under the power of two at or above them. */
function lengthOf({ document, result }: Asked): number {
  if (document.pages !== null) return document.pages;
  const pages = result && 'account' in result ? result.account.pages : 1;
  return 2 ** Math.ceil(Math.log2(Math.max(1, pages)));
}
