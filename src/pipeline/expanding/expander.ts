/** The second look at whatever is open: finds places for a question, and asks with their text beside it. */

import type { Answer, AskOptions, OpenDocument } from '../backend.js';
import type { CompressionReport } from '../report.js';
import { expandPlaces, type ScoredPlace } from './expand-places.js';
import { ExpansionSource } from './expansion-source.js';

/** Who says where to look. `lexical`: the words of the question, BM25 over sentences and lines. */
export const EXPANSION_METHODS = ['lexical'] as const;
export type ExpansionMethod = (typeof EXPANSION_METHODS)[number];

/** Text tokens of the passages of one question, where nobody says how many. */
export const DEFAULT_EXPANSION_BUDGET = 300;
export const MAX_EXPANSION_BUDGET = 1_000_000;

export interface ExpandSettings {
  method: ExpansionMethod;
  /** Text tokens of the passages of one question, at most. */
  budget: number;
  /** In the tokenizer of the model that reads them. */
  countTokens: (text: string) => number;
}

/** What is expanded: an open document, as far as it takes. */
export interface Expandable<Reply extends Answer = Answer>
  extends Pick<OpenDocument, 'sources' | 'report'> {
  ask(question: string, options?: AskOptions): Promise<Reply>;
}

/** One for each open document; its index is made with the first question. */
export class Expander<Reply extends Answer = Answer> {
  #source: Promise<ExpansionSource> | undefined;

  constructor(private readonly opened: Expandable<Reply>) {}

  async ask(question: string, options: AskOptions, settings: ExpandSettings): Promise<Reply> {
    const { method, budget, countTokens } = settings;
    this.#source ??= ExpansionSource.of(this.opened.sources);
    const source = await this.#source;
    const { passages, text, tokens } = expandPlaces(
      source.text,
      placesOf(source, question, method),
      { budget, countTokens, units: source.units },
    );
    const answer = await this.opened.ask(question, { ...options, passages: text });
    const expanded = passages.flatMap((range) => source.placesOf(range));
    return { ...answer, expansion: { method, tokens, expanded } };
  }
}

function placesOf(
  source: ExpansionSource,
  question: string,
  method: ExpansionMethod,
): ScoredPlace[] {
  switch (method) {
    case 'lexical':
      return source.lexical.find(question);
  }
}

/** The report of one answer: the text that was read for it counts as context. */
export function countExpanded(
  report: CompressionReport,
  expandedTokens: number,
): CompressionReport {
  const contextTokens = report.contextTokens + expandedTokens;
  return {
    ...report,
    expandedTokens,
    contextTokens,
    finalTokens: report.finalTokens + expandedTokens,
    pruneRatio: report.visualTokens / contextTokens,
    stackedRatio: report.textTokens / contextTokens,
  };
}
